import bentoml
import typing as t

client = bentoml.SyncHTTPClient('https://:3000')

# Set the audio URL
audio_url = 'https://example.org/female.wav'

# The response is expected to be a dictionary
response: t.Dict = client.transcribe(audio_file=audio_url)

print(response)

# Print the text of the first segment
# Add the following line to your client code
print("Segment text:", response["segments"][0]["text"])

import bentoml
from bentoml.exceptions import BentoMLException

client = bentoml.SyncHTTPClient('https://:3000')

try:
    summarized_text: str = client.summarize(text="Your long text to summarize.")
    print(summarized_text)
except BentoMLException as e:
    print(f"An error occurred: {e}")
finally:
    client.close()

import bentoml

client = bentoml.SyncHTTPClient('https://:3000')
summarized_text: str = client.summarize(text="Your long text to summarize")
print(summarized_text)

# Close the client to release resources
client.close()

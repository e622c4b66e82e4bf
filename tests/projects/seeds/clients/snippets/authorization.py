import bentoml

client = bentoml.SyncHTTPClient('https://:3000', token='your_token_here')
summarized_text: str = client.summarize(text="Your long text to summarize")
print(summarized_text)

client.close()

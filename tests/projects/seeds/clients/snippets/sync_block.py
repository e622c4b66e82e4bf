import bentoml

with bentoml.SyncHTTPClient('https://:3000') as client:
    summarized_text: str = client.summarize(text="Your long text to summarize")
    print(summarized_text)

import bentoml

async with bentoml.AsyncHTTPClient('https://:3000') as client:
    summarized_text: str = await client.summarize(text="Your long text to summarize")
    print(summarized_text)

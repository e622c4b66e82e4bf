import asyncio
import bentoml

async def async_client_operation():
    async with bentoml.AsyncHTTPClient('https://:3000') as client:
        summarized_text: str = await client.summarize(text="Your long text to summarize")
        print(summarized_text)

asyncio.run(async_client_operation())

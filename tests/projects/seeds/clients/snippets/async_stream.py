import bentoml

async with bentoml.AsyncHTTPClient("https://:3000") as client:
    async for data_chunk in client.stream_data():
        # Process each chunk of data as it arrives
        await process_data_async(data_chunk)

async def process_data_async(data_chunk):
    # Add processing logic
    print("Processing data chunk asynchronously:", data_chunk)
    # Add more complex asynchronous processing here
    await some_async_operation(data_chunk)

"""The steps of a flow, performed on channels: the one room that knows sockets and asyncio."""

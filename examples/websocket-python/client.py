"""A conversation of three turns, with a tool call, over one WebSocket of the gateway.

    pip install websockets
    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=sk-… python3 client.py gpt-5-mini

Each turn goes on from the one before by its id alone: with store=False the provider
remembers a conversation for as long as the socket is open.
"""

import asyncio
import inspect
import json
import os
import sys

import websockets

TOOLS = [
    {
        "type": "function",
        "name": "get_weather",
        "description": "The weather in a city, today.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    }
]


def get_weather(city):
    return json.dumps({"city": city, "sky": "clear", "celsius": 21})


class TurnFailed(Exception):
    """The provider, or the gateway, ended the turn with an error. The socket goes on."""


async def turn(socket, **request):
    """Send one response.create, print the answer as it comes, and return the response."""
    await socket.send(json.dumps({"type": "response.create", "store": False, **request}))
    async for message in socket:
        event = json.loads(message)
        kind = event["type"]
        if kind == "response.output_text.delta":
            print(event["delta"], end="", flush=True)
        elif kind == "response.output_text.done":
            print()
        elif kind in ("response.completed", "response.incomplete"):
            response = event["response"]
            usage = response["usage"]
            print(f"[{usage['input_tokens']} tokens in, {usage['output_tokens']} out]")
            return response
        elif kind == "response.failed":
            raise TurnFailed(event["response"]["error"]["message"])
        elif kind == "error":
            raise TurnFailed(event["error"]["message"])
        # All else, the events that are new to this program too, is passed over.
    raise ConnectionError("the socket was closed in the middle of a turn")


async def converse(socket, model):
    response = await turn(socket, model=model, tools=TOOLS, input="Use the tool get_weather for Paris.")
    outputs = []
    for item in response["output"]:
        if item["type"] == "function_call":
            print(f"{item['name']}({item['arguments']})")
            output = get_weather(**json.loads(item["arguments"]))
            outputs.append({"type": "function_call_output", "call_id": item["call_id"], "output": output})
    response = await turn(socket, model=model, tools=TOOLS, previous_response_id=response["id"], input=outputs)
    await turn(socket, model=model, tools=TOOLS, previous_response_id=response["id"], input="Thank you!")


async def main(model):
    base = os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1").rstrip("/")
    key = os.environ.get("OPENAI_API_KEY", "none")
    # The argument for header fields has another name before version 14 of the package.
    parameters = inspect.signature(websockets.connect).parameters
    headers = "additional_headers" if "additional_headers" in parameters else "extra_headers"
    async with websockets.connect(
        "ws" + base[len("http") :] + "/responses",
        # The last event of a turn repeats its whole answer; the package's limit is 1 MiB.
        max_size=None,
        **{headers: {"Authorization": "Bearer " + key}},
    ) as socket:
        await converse(socket, model)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "gpt-5-mini"))
    except (TurnFailed, OSError, websockets.exceptions.WebSocketException) as error:
        sys.exit(f"client.py: {error}")

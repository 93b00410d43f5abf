"""A LangChain chain: the same `prompt | model | parser` that works with any provider, answered on this machine; then
one whose answer is an object instead of text.

The bundled model answers offline. On a real model, name it: FrameworkChatModel("gemma-3-4b-it") with that model in
the models folder, or FrameworkChatModel("openai:gpt-5-mini") with a key. The rest of the program stays.
"""

import asyncio

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel

from langchain_llm_framework import FrameworkChatModel

TEXT = "The museum was built in 1890. It is in Lyon."
QUESTIONS = [{"question": "When was the museum built?"}, {"question": "Where is the museum?"}]

model = FrameworkChatModel(temperature=0, max_tokens=64)
chain = ChatPromptTemplate.from_messages([("user", TEXT + "\n\n{question}")]) | model | StrOutputParser()

# invoked
print(chain.invoke(QUESTIONS[0]))

# streamed
for piece in chain.stream(QUESTIONS[1]):
    print(piece, end="", flush=True)
print()

# batched: the engine decodes the answers together
print(chain.batch(QUESTIONS))


class Person(BaseModel):
    """A person."""

    name: str
    age: int
    city: str


# structured: the answer is an instance of the class; a stream shows it growing
extract = ChatPromptTemplate.from_template("Extract the person from the text.\n\n{text}")
people = extract | model.with_structured_output(Person)
print(people.invoke({"text": "Ada is 34 years old and lives in Turin."}))
print(list(people.stream({"text": "Tom Baker, 51, lives in Oslo."}))[-1])


# asynchronous, on the caller's own event loop
async def main() -> None:
    print(await chain.ainvoke(QUESTIONS[0]))
    print(await people.ainvoke({"text": "My name is Eva, I am 28 and I live in Paris."}))


asyncio.run(main())

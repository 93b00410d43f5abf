"""Questions to a folder of documents: a LlamaIndex query engine that finds the passage and answers from it.

The bundled model answers offline from short passages. On a real model, name it: FrameworkLLM("gemma-3-4b-it") with
that model in the models folder, or FrameworkLLM("openai:gpt-5-mini") with a key. The rest of the program stays.
"""

import tempfile
from pathlib import Path

from llama_index.core import Settings, SimpleDirectoryReader, SimpleKeywordTableIndex, SummaryIndex

from llama_index.llms.llm_framework import FrameworkLLM

Settings.llm = FrameworkLLM(temperature=0, max_tokens=64)
Settings.tokenizer = Settings.llm.tokenizer  # so that long documents are cut to what this model reads

DOCUMENTS = {
    "bergen.txt": "The harbour of Bergen was built in 1070. It has eleven piers.",
    "lyon.txt": "The museum of Lyon opens at nine. A ticket costs 12 euros.",
    "turin.txt": "Ada lives in Turin. She works as a baker.",
}
QUESTIONS = [
    "When was the harbour of Bergen built?",
    "How much does a museum ticket cost?",
    "Where does Ada live?",
]

with tempfile.TemporaryDirectory() as folder:
    for name, text in DOCUMENTS.items():
        Path(folder, name).write_text(text, encoding="utf-8")
    documents = SimpleDirectoryReader(folder).load_data()

# A keyword table needs no embedding model: it finds the passages that share words with the question.
engine = SimpleKeywordTableIndex.from_documents(documents).as_query_engine()
for question in QUESTIONS:
    answer = engine.query(question)
    source = answer.source_nodes[0].metadata["file_name"]
    print(f"{question} {answer} (from {source})")

# Small folders need no retrieval: a summary index puts every passage before the model. This one streams.
streaming = SummaryIndex.from_documents(documents).as_query_engine(streaming=True)
print(QUESTIONS[2], end=" ")
for piece in streaming.query(QUESTIONS[2]).response_gen:
    print(piece, end="", flush=True)
print()

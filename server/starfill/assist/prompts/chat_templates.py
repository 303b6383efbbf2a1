"""The forms in which models were tuned to take instructions, as data. From their cards and chat templates."""

from __future__ import annotations

from dataclasses import replace

from starfill.assist.prompts.family import Instruct

# The form of WizardCoder's cards. Its answer begins with the line end that follows the last colon.
ALPACA = Instruct(
    text="Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:",
    stops=("\n### Instruction:",),
)
# The bundled model learned explanations from docstrings, and often continues with what follows a docstring in a file.
ALPACA_BUNDLED = replace(ALPACA, explanation_stops=('"""', "\n```"))

# For models that were only pretrained: a conversation to continue, like the Tech Assistant prompt that StarCoder's card
# recommends, but in our own words.
DIALOGUE = Instruct(
    text="""\
The following are questions of programmers and the answers of an experienced colleague. The answers are correct, short
and friendly. Code stands in fenced blocks, whole, and is changed no more than was asked for.

-----

Question: Write a Python function that counts the words of a text.

Answer:
```python
def count_words(text):
    return len(text.split())
```

-----

Question: Explain what this code does.

```python
for name in sorted(os.listdir(folder)):
    if name.endswith(".log"):
        print(name)
```

Answer:
It prints the names of all entries of `folder` that end in ".log", in alphabetical order.

-----

Question: {instruction}

Answer:""",
    stops=("\n-----", "\nQuestion:"),
)

CHATML = Instruct(
    text="<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{instruction}<|im_end|>\n<|im_start|>assistant\n",
    system="You are a helpful assistant.",
    controls=("<|im_start|>", "<|im_end|>"),
    mark="<|im_start|>",
)
LLAMA_2 = Instruct(text="[INST] {instruction} [/INST]", mark="[INST]", strips=True)

# Each turn's content is stripped, and without a system turn an empty one is put in (the card, "Chat prompt").
CODELLAMA_70B_CHAT = Instruct(
    text="Source: system\n\n {system} <step> Source: user\n\n {instruction} <step> "
    "Source: assistant\nDestination: user\n\n ",
    controls=(" <step>",),
    mark="Source: ",
    strips=True,
)
DEEPSEEK_CHAT = Instruct(
    text="{system}\n### Instruction:\n{instruction}\n### Response:\n",
    system="You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek Company, and"
    " you only answer questions related to computer science. For politically sensitive questions, security and privacy"
    " issues, and other non-computer science questions, you will refuse to answer",
    mark="### Instruction:",
)
DEEPSEEK_V2_CHAT = Instruct(text="User: {instruction}\n\nAssistant:", mark="User: ", stops=("\nUser:",))
GEMMA_CHAT = Instruct(
    text="<start_of_turn>user\n{instruction}<end_of_turn>\n<start_of_turn>model\n",
    controls=("<start_of_turn>", "<end_of_turn>"),
    mark="<start_of_turn>",
    strips=True,
)
GRANITE_CODE_CHAT = Instruct(text="Question:\n{instruction}\n\nAnswer:\n", mark="Question:", stops=("\nQuestion:\n",))
GRANITE_3_CHAT = Instruct(
    text="<|start_of_role|>user<|end_of_role|>{instruction}<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>",
    controls=("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"),
    mark="<|start_of_role|>",
)
STARCODER2_CHAT = Instruct(
    text="<|endoftext|>{system}\n\n### Instruction\n{instruction}\n\n### Response\n",
    system="You are an exceptionally intelligent coding assistant that consistently delivers accurate and reliable"
    " responses to user instructions.",
    controls=("<|endoftext|>",),
    mark="### Instruction",
    stops=("\n### Instruction",),
)
MISTRAL_CHAT = Instruct(text="[INST] {instruction}[/INST]", controls=("[INST]", "[/INST]"))

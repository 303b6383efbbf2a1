"""From a document and a cursor to suggestions: the prompt, when to stop, what of an answer is shown."""

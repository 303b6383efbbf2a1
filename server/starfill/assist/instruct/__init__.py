"""From a selection and an instruction to an explanation or edits."""

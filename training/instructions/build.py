"""Writes instruction data for a corpus: JSONL of {"instruction", "input"?, "output", "task"}.

`python -m instructions.build` (in training/) writes build/instructions.jsonl from build/train.jsonl, with
`--half held_out` build/instructions_held_out.jsonl from build/held_out.jsonl. The same corpus and seed give the same
file.
"""

from __future__ import annotations

import argparse
import ast
import json
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

from tqdm import tqdm

from instructions import behaviour, phrasing
from instructions.crop import Cropper, whole_lines
from instructions.example import Example
from instructions.source import Edit, Source
from instructions.tasks import (
    annotations,
    conditions,
    describe,
    fixes,
    loops,
    names,
    paths,
    speed,
    strings,
    written_tests,
)

TRAINING = Path(__file__).parent.parent
MAX_CHARS = 1000  # of an example: some 300 tokens
Rewrite = Callable[[Source], Iterator[Edit]]

# task -> rewrites of clumsy code in the corpus, rewrites that make clean code clumsy
REWRITES: dict[str, tuple[tuple[Rewrite, ...], tuple[Rewrite, ...]]] = {
    "return condition": ((conditions.return_condition,), (conditions.spell_out_condition,)),
    "merge ifs": ((conditions.merge_ifs,), (conditions.split_if,)),
    "plain comparison": ((conditions.plain_comparison,), (conditions.clumsy_comparison,)),
    "comprehension": ((loops.to_comprehension,), (loops.to_loop,)),
    "to a loop": ((loops.to_loop,), (loops.to_comprehension,)),
    "any or all": ((loops.to_any,), (loops.from_any,)),
    "plain loop": ((), (loops.with_index,)),
    "unused variable": ((), (names.with_unused_variable,)),
    "f-string": ((strings.to_f_string,), (strings.from_f_string,)),
    "pathlib": ((paths.to_pathlib,), ()),
    "generator": ((speed.to_generator,), (speed.to_list,)),
    "set membership": ((speed.to_set,), ()),
    "keys": ((speed.without_keys,), ()),
    "items": ((), (speed.without_items,)),
    "min and max": ((), (speed.to_sorted,)),
    "join": ((), (speed.without_join,)),
}
MAY_SET_MORE = {"comprehension", "to a loop", "plain loop", "unused variable", "items", "join", "any or all"}
NOT_RUN = {"pathlib"}  # a string becomes a Path: meant to differ


def is_code(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def rewrites(source: Source, rng: Random) -> Iterator[Example]:
    """Every rewrite of the file, forward and backward, at most two of each."""
    cropper = Cropper(source)
    for task, directions in REWRITES.items():
        for way, found in zip((1, -1), directions, strict=True):
            for rewrite in found:
                edits = list(rewrite(source))
                for edit in rng.sample(edits, min(2, len(edits))):
                    crop = cropper.around(edit, wide=rng.random() < 0.5)
                    sides = cropper.sides(crop, edits) if crop else None
                    if sides:
                        before, after = sides[::way]
                        yield Example(task, phrasing.instruction(task, rng), before, after)


def fixed(source: Source, rng: Random) -> Iterator[Example]:
    cropper = Cropper(source)
    for fault in fixes.faults(source, rng):
        crop = cropper.around(fault.edit, wide=rng.random() < 0.7)
        sides = cropper.sides(crop, [fault.edit]) if crop else None
        if sides:
            told = rng.random() < 0.6
            wording = phrasing.fix_problem(fault.problem) if told else phrasing.instruction("fix", rng)
            yield Example("fix", wording, sides[1], sides[0])


def renames(source: Source, rng: Random) -> Iterator[Example]:
    """A local variable given another name, by name or for clarity."""
    for function in names.functions(source):
        crop = whole_lines(source, function, function)
        known = [n for n in names.local_variables(function) if len(n) > 3]
        if not crop or crop.end - crop.start > 500 or not known:
            continue
        old = rng.choice(known)
        worse = names.worse_name(function, old)
        sides = worse and Cropper(source).sides(crop, names.renamed(source, function, old, worse))
        if not worse or not sides:
            continue
        clear, unclear = sides
        if rng.random() < 0.5:
            yield Example("clear names", phrasing.instruction("clear names", rng), unclear, clear)
        else:
            yield Example("rename", phrasing.rename(worse, old, rng), unclear, clear)


def in_words(source: Source, rng: Random) -> Iterator[Example]:
    for found in describe.described(source):
        yield Example("docstring", phrasing.instruction("docstring", rng), found.bare, found.documented)
        yield Example("explain", phrasing.instruction("explain", rng), found.bare, found.summary, code=False)
        wanted = phrasing.write_function(found.signature, found.summary, rng)
        yield Example("write a function", wanted, "", found.bare)
    for comment, code in describe.commented(source):
        if rng.random() < 0.5:
            yield Example("write code", phrasing.write_code(comment, rng), "", code)
        else:
            yield Example("explain", phrasing.instruction("explain", rng), code, comment, code=False)
    for bare, whole in annotations.typed(source):
        yield Example("types", phrasing.instruction("types", rng), bare, whole)


def examples(text: str, rng: Random) -> Iterator[Example]:
    """All examples of one file that are short enough and whose code is code."""
    try:
        source = Source(text)
    except (SyntaxError, ValueError):
        return
    for make in (rewrites, fixed, renames, in_words):
        for example in make(source, rng):
            sides = ([example.output] if example.code else []) + ([example.given] if example.task != "fix" else [])
            if len(example.given) + len(example.output) <= MAX_CHARS and all(map(is_code, sides)):
                yield example


def behaving(found: list[Example]) -> list[Example]:
    """The rewrites that don't behave differently when both sides are run, marked with what was seen."""
    kept = [e for e in found if e.task not in REWRITES]
    pairs = [e for e in found if e.task in REWRITES]
    requests = ({"before": e.given, "after": e.output, "loose": e.task in MAY_SET_MORE} for e in pairs)
    for e, verdict in zip(pairs, behaviour.ask(requests), strict=True):
        if verdict != "different" or e.task in NOT_RUN:
            kept.append(replace(e, checked="unknown" if e.task in NOT_RUN else verdict or "unknown"))
    return kept


def build(corpus: Path, limit: int, seed: int) -> list[Example]:
    """Examples of a corpus, at most `limit` of a task, in random order; files are read until every task has enough."""
    with corpus.open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    rng = Random(seed)
    rng.shuffle(texts)
    by_task: dict[str, list[Example]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    for text in tqdm(texts, desc=corpus.name):
        for example in examples(text, rng):
            key = (example.given or example.instruction, example.output)
            if key not in seen and len(by_task[example.task]) < limit:
                seen.add(key)
                by_task[example.task].append(example)
    found = [e for task in sorted(by_task) for e in by_task[task]]
    found = behaving(found) + written_tests.examples(found, limit, rng)
    rng.shuffle(found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Build instruction data from the corpus.")
    parser.add_argument("--build", type=Path, default=TRAINING / "build")
    parser.add_argument("--half", choices=["train", "held_out"], default="train")
    parser.add_argument("--limit", type=int, help="examples of a task: 2500, of the held-out half 100")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore", SyntaxWarning)  # what the corpus' own strings deserve
    limit, name = (2500, "instructions") if args.half == "train" else (100, "instructions_held_out")
    found = build(args.build / f"{args.half}.jsonl", args.limit or limit, args.seed)
    out = args.build / f"{name}.jsonl"
    out.write_text("".join(json.dumps(e.line()) + "\n" for e in found), encoding="utf-8")
    print(f"{out.name}: {len(found)} examples,", dict(Counter(e.task for e in found)))
    print("rewrites run on both sides:", dict(Counter(e.checked for e in found if e.task in REWRITES)))


if __name__ == "__main__":
    main()

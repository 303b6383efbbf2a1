"""Several systems through one trace: who is asked what, in which order, and what gets accepted."""

from dataclasses import dataclass, field

from latency.replay import Limit, play
from peers.peer import Answer, Prompt
from traces.trace import Trace, mixed, sources
from traces.typist import Change, Event, Place, applied

KEYS = tuple(Event("character", 0, Change(Place(0, i), Place(0, i), "x"), Place(0, i + 1)) for i in range(3))
ACCEPT = Event("accept", 0, Change(Place(0, 3), Place(0, 3), "rest"), Place(0, 7))
UNDO = Event("undo", 0, Change(Place(0, 3), Place(0, 7), ""), Place(0, 3))


class Planner:
    """The prompt is all that stands before the cursor; the anchor counts the prompts so far."""

    def plan(self, document, offset, previous):
        text = document.slice(0, offset)
        return Prompt(tuple(map(ord, text)), text, "", str(previous)), (previous or 0) + 1

    def count(self, text):
        return len(text)


@dataclass
class Fake:
    """Keeps documents as a server would. answers: by number of the ask, instead of the usual one."""

    name: str
    log: list = field(default_factory=list)
    answers: dict = field(default_factory=dict)
    asks: list = field(default_factory=list)
    pid = 1

    def open(self, uris, texts):
        self.documents = [text.split("\n") for text in texts]

    def edit(self, document, change):
        self.documents[document] = applied(self.documents[document], change)

    def complete(self, ask):
        if ask.change is not None:
            self.edit(ask.document, ask.change)
        self.asks.append(ask)
        self.log.append(self.name)
        return self.answers.get(len(self.asks), Answer(1.0, 2.0, len(ask.prompt.ids), 1, 5, 4))


def run(trace, first, second, **options):
    log = []
    first.log = second.log = log
    samples = play(
        "t", trace, [first, second], Planner(), lambda pid: log.append("settled"), 9, **{"limits": {}} | options
    )
    return samples, log


def test_systems_take_turns_and_each_is_idle_before_the_next():
    _, log = run(Trace(("",), (KEYS[:2], KEYS[2:])), Fake("a"), Fake("b"))
    assert log == ["a", "a", "settled", "b", "b", "settled", "a", "settled", "b", "settled"]


def test_all_get_the_same_prompts_and_answer_with_as_many_tokens():
    first, second = Fake("a", answers={2: Answer(1.0, 2.0, 2, 1, 7, 6)}), Fake("b")
    samples, _ = run(Trace(("",), (KEYS,)), first, second)
    assert [ask.prompt for ask in first.asks] == [ask.prompt for ask in second.asks]
    assert [ask.prompt.prefix for ask in second.asks] == ["x", "xx", "xxx"]
    assert [ask.tokens for ask in second.asks] == [5, 7, 5]
    assert [(each.peer, each.place) for each in samples] == [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("b", 2)]


def test_what_needs_no_model_is_asked_of_nobody_else_and_leaves_the_anchor():
    first, second = Fake("a", answers={2: Answer(1.0, 1.0, 0, 0, 0, 0, source="reuse")}), Fake("b")
    run(Trace(("",), (KEYS,)), first, second)
    assert [ask.prompt.prefix for ask in second.asks] == ["x", "xxx"]
    assert [ask.prompt.typed for ask in first.asks] == ["None", "1", "1"]
    assert second.documents == first.documents == [["xxx"]]


def test_what_was_prepared_is_as_long_for_the_others():
    prepared = Answer(1.0, 1.0, 3, 0, 0, 0, None, "prepared", Change(Place(0, 3), Place(0, 3), "abcd"))
    second = Fake("b")
    run(Trace(("",), (KEYS,)), Fake("a", answers={3: prepared}), second)
    assert second.asks[-1].tokens == 4


def test_the_suggestion_is_accepted_and_undone_whatever_it_is():
    offered = Change(Place(0, 2), Place(0, 3), "y\n  z")
    first = Fake("a", answers={3: Answer(1.0, 2.0, 3, 1, 5, 4, suggestion=offered)})
    second = Fake("b")
    run(Trace(("",), ((*KEYS, ACCEPT, UNDO),)), first, second)
    assert [ask.prompt.prefix for ask in second.asks[3:]] == ["xxy\n  z", "xxx"]
    assert second.documents == first.documents == [["xxx"]]
    assert [ask.accepted for ask in first.asks] == [False, False, False, True, False]


def test_without_a_suggestion_the_rest_of_the_line_is_accepted():
    second = Fake("b")
    run(Trace(("",), ((*KEYS, ACCEPT, UNDO),)), Fake("a"), second)
    assert [ask.prompt.prefix for ask in second.asks[3:]] == ["xxxrest", "xxx"]


def test_a_slow_system_is_asked_little_but_sees_all_changes():
    first, second = Fake("a"), Fake("b")
    run(Trace(("",), (KEYS,)), first, second, limits={"b": Limit(asks=1, longest=2)})
    assert [ask.prompt.prefix for ask in second.asks] == ["xx"]
    assert second.documents == first.documents


def test_a_real_trace_leaves_all_documents_alike():
    texts = sources(3, 80)
    first, second = Fake("a"), Fake("b")
    run(mixed(texts, 60), first, second, limits={"b": Limit(asks=2)})
    assert first.documents == second.documents
    assert [[line for line in lines if not line.startswith("# note")] for lines in first.documents] == texts

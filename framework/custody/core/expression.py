"""The small language of `--where`: from text to a condition, every complaint with the place that it is about. Pure.

condition   = all { "or" all }
all         = term { "and" term }
term        = "not" term | "(" condition ")" | comparison
comparison  = name operator value | name ["not"] "in" "(" value { "," value } ")"
            | name ["not"] "like" value | name "is" ["not"] "null"
operator    = "=" | "!=" | "<" | "<=" | ">" | ">="
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from custody.domain.problem import Place, Problem
from custody.domain.search import All, Comparison, Condition, Either, IsNull, Literal, Not, Operator, Word
from custody.errors import UsageError

OPTION = "--where"
_LONGEST = 4_000
_DEEPEST = 50
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>'[^']*'|"[^"]*")|(?P<operator><=|>=|!=|<>|==|=|<|>)|(?P<mark>[(),])|(?P<word>[^\s'"<>=!(),]+))"""
)
_NAME = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)*")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_SPELLINGS = {"==": "=", "<>": "!="}
_WORDS = frozenset({"and", "or", "not", "in", "like", "is", "null"})
_BOOLEANS = {"true": True, "false": False}


class ExpressionError(UsageError):
    """A condition that cannot be understood or asked; `problems` holds the one fault with its place."""

    def __init__(self, text: str, word: Word, message: str, help: Iterable[str] = (), option: str = OPTION) -> None:
        place = Place(option, 1, word.column, word.width)
        self.problems = (Problem("E610", message, place, text, help=tuple(help)),)
        super().__init__(f"{option} cannot be understood", code="E610", help=("custody runs --help",))


def parse_condition(text: str) -> Condition:
    """Return the condition that `text` says. Raises ExpressionError."""
    if len(text) > _LONGEST:
        raise ExpressionError(
            text[:80], Word("", 1), f"a condition has at most {_LONGEST:,} characters", ("name in (…)",)
        )
    return _Parser(text).whole()


def did_you_mean(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the help for a word that is none of `known`: the nearest of them, else the first few."""
    names = sorted(set(known))
    near = get_close_matches(word.lower(), names, 1, 0.6) or get_close_matches(word.rpartition(".")[2], names, 1, 0.6)
    if near:
        return (f"did you mean {near[0]}?",)
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""  # noqa: PLR2004
    return (f"known: {', '.join(names[:12])}{more}",) if names else ()


class _Parser:
    """One pass from left to right over the words of a condition."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words: list[tuple[str, Word]] = []
        self._next = 0
        self._depth = 0
        self._cut()

    def whole(self) -> Condition:
        if not self._words:
            raise self._fault(Word("", 1), "the condition is empty", "--where 'roc_auc > 0.8'")
        found = self._condition()
        if self._next < len(self._words):
            kind, word = self._words[self._next]
            hint = "close what was opened, and open what is closed" if kind == "mark" else "join with `and` or `or`"
            raise self._fault(word, f"{word.text!r} is not expected here", hint)
        return found

    def _cut(self) -> None:
        at, end = 0, len(self._text.rstrip())
        while at < end:
            found = _TOKEN.match(self._text, at)
            if found is None or found.lastgroup is None:
                at += len(self._text[at:]) - len(self._text[at:].lstrip())
                raise self._fault(Word(self._text[at : at + 1], at + 1), *_stray(self._text[at]))
            kind = found.lastgroup
            self._words.append((kind, Word(found[kind], found.start(kind) + 1)))
            at = found.end()

    def _condition(self) -> Condition:
        terms = [self._all()]
        while self._take("or"):
            terms.append(self._all())
        return terms[0] if len(terms) == 1 else Either(tuple(terms))

    def _all(self) -> Condition:
        terms = [self._term()]
        while self._take("and"):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else All(tuple(terms))

    def _term(self) -> Condition:
        self._depth += 1
        try:
            if self._depth > _DEEPEST:
                raise self._fault(self._here(), f"more than {_DEEPEST} levels of parentheses and `not`", "simplify it")
            if self._take("not"):
                return Not(self._term())
            if opened := self._mark("("):
                found = self._condition()
                if not self._mark(")"):
                    raise self._fault(opened, "this parenthesis is never closed", "add `)`")
                return found
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Condition:
        name = self._name()
        if self._take("is"):
            opposite = self._take("not")
            if not self._take("null"):
                raise self._fault(self._here(), "after `is` comes `null` or `not null`", f"{name.text} is null")
            return Not(IsNull(name)) if opposite else IsNull(name)
        opposite = self._take("not")
        if self._take("in"):
            found: Condition = Comparison(name, Operator.IN, self._list(name))
        elif self._take("like"):
            found = Comparison(name, Operator.LIKE, (self._value(),))
        elif opposite:
            raise self._fault(self._here(), "after a name, `not` comes before `in` or `like`", f"not {name.text} = …")
        else:
            found = Comparison(name, self._operator(name), (self._value(),))
        return Not(found) if opposite else found

    def _name(self) -> Word:
        kind, word = self._peek()
        if kind != "word" or word.text.lower() in _WORDS or not _NAME.fullmatch(word.text):
            example = "a comparison begins with a name: roc_auc > 0.8"
            raise self._fault(word, f"a name is expected here, not {_seen(word)}", example)
        self._next += 1
        return word

    def _operator(self, name: Word) -> Operator:
        kind, word = self._peek()
        if kind != "operator":
            hint = f"{name.text} = …; also != < <= > >= in like, is null"
            raise self._fault(word, f"a comparison is expected after {name.text}", hint)
        self._next += 1
        return Operator(_SPELLINGS.get(word.text, word.text))

    def _list(self, name: Word) -> tuple[Literal, ...]:
        opened = self._mark("(")
        if opened is None:
            raise self._fault(self._here(), "after `in` comes a list", f"{name.text} in (4, 6)")
        values = [self._value()]
        while self._mark(","):
            values.append(self._value())
        if not self._mark(")"):
            raise self._fault(opened, "this list is never closed", "add `)`")
        return tuple(values)

    def _value(self) -> Literal:
        kind, word = self._peek()
        if kind == "quoted":
            self._next += 1
            return Literal(word.text[1:-1], word, quoted=True)
        if kind != "word" or word.text.lower() in _WORDS - {"null"}:
            raise self._fault(word, f"a value is expected here, not {_seen(word)}", "texts: 'like this'")
        if word.text.lower() == "null":
            raise self._fault(word, "nothing equals null", "write `is null` or `is not null`")
        self._next += 1
        return Literal(_plain(word.text), word)

    def _peek(self) -> tuple[str, Word]:
        return self._words[self._next] if self._next < len(self._words) else ("end", self._here())

    def _here(self) -> Word:
        if self._next < len(self._words):
            return self._words[self._next][1]
        return Word("", len(self._text.rstrip()) + 1)

    def _take(self, keyword: str) -> bool:
        kind, word = self._peek()
        found = kind == "word" and word.text.lower() == keyword
        self._next += found
        return found

    def _mark(self, mark: str) -> Word | None:
        kind, word = self._peek()
        if kind != "mark" or word.text != mark:
            return None
        self._next += 1
        return word

    def _fault(self, word: Word, message: str, help: str) -> ExpressionError:
        return ExpressionError(self._text, word, message, (help,))


def _seen(word: Word) -> str:
    return repr(word.text) if word.text else "the end"


def _plain(text: str) -> float | int | bool | str:
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _stray(character: str) -> tuple[str, str]:
    if character in "'\"":
        return "this text is never closed", f"add {character}"
    return f"{character!r} means nothing here", "comparisons are = != < <= > >= in like, is null"

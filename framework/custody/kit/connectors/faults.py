"""Why values do not fit their type, in words: what the bad values have in common, and the edit that helps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from custody.errors import ContractError

EXAMPLES = 3

_MISSING = frozenset({"na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "missing", "unknown"})
_DATE = re.compile(r"(\d{1,4})([/.-])(\d{1,2})\2(\d{1,4})")
_NUMERAL = r"\d[\d.,]*(e[+-]?\d+)?"
_ARTICLES = {"integer": "an integer", "number": "a number", "boolean": "true or false", "date": "an ISO date"}
_SHOWN = 40
_LISTED = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """The values of one column that do not fit.

    `values` counts the bad values as they are written (at most the commonest 10,000), `examples` are (line, value) of
    the first, `nulls` the declared spellings of a missing value. Values of a personal column are shown nowhere.
    """

    column: str
    type: str
    format: str | None
    count: int
    rows: int
    values: Mapping[str, int]
    examples: tuple[tuple[int | None, str], ...]
    nulls: tuple[str, ...]
    personal: bool


@dataclass(frozen=True, slots=True)
class _Group:
    """Bad values of one shape: a phrase that follows `all are …`, and what to do about them."""

    phrase: str
    remedy: str
    count: int


def explain(faults: Sequence[Fault], shown: str) -> ContractError:
    """Return the error that tells of all faults of a file."""
    because, remedies = [], []
    for fault in faults:
        common, remedy = describe(fault)
        because.append(f"{fault.column}: {fault.count:,} of {fault.rows:,} values are not {_wanted(fault)}; {common}")
        because += [_example(line, value, personal=fault.personal) for line, value in fault.examples]
        remedies.append(remedy)
    columns = ", ".join(f"{fault.column} ({fault.count:,})" for fault in faults)
    what = "1 column holds" if len(faults) == 1 else f"{len(faults)} columns hold"
    return ContractError(
        f"{shown}: {what} values that do not fit the declared type: {columns}",
        code="data.type",
        because=tuple(because),
        help=tuple(dict.fromkeys(remedies)),
    )


def describe(fault: Fault) -> tuple[str, str]:
    """Return what the bad values of a column have in common, and the edit that helps."""
    groups = sorted(_groups(fault), key=lambda group: -group.count)
    seen = sum(fault.values.values())
    scope = f"all {seen:,}" if seen == fault.count else f"all of the {seen:,} looked at"
    if len(groups) == 1:
        common = f"all of them {_verb(groups[0], 2)}" if seen < 2 else f"{scope} {_verb(groups[0], seen)}"  # noqa: PLR2004
        if seen == 1:
            common = f"it {_verb(groups[0], 1)}"
        return common, groups[0].remedy
    parts = [f"{group.count:,} {_verb(group, group.count)}" for group in groups[:_LISTED]]
    return ", ".join(parts), groups[0].remedy


def _verb(group: _Group, count: int) -> str:
    verb, _, rest = group.phrase.partition(" ")
    singular = {"are": "is", "look": "looks", "have": "has", "contain": "contains", "begin": "begins", "end": "ends"}
    return f"{singular.get(verb, verb)} {rest}" if count == 1 else group.phrase


def _wanted(fault: Fault) -> str:
    if fault.format:
        return f"a {fault.type} written as {fault.format}"
    return _ARTICLES.get(fault.type, "an ISO 8601 time")


def _example(line: int | None, value: str, *, personal: bool) -> str:
    where = f"line {line:,}" if line else "somewhere"
    return f"  {where}: (personal: not shown)" if personal else f"  {where}: {_show(value)}"


def _show(value: str) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _groups(fault: Fault) -> Iterator[_Group]:
    """Divide the bad values by shape and say of each shape what it is."""
    shaped = sorted((_shape(value, fault), value) for value in fault.values)
    for shape, members in groupby(shaped, key=lambda item: item[0]):
        values = [value for _, value in members]
        phrase, remedy = _TELL[shape](values, fault)
        yield _Group(phrase, remedy, sum(fault.values[value] for value in values))


def _shape(value: str, fault: Fault) -> str:
    """Return the name of the shape; a key of `_TELL`."""
    text = value.strip()
    if not text:
        return "blank"
    if text.lower() in _MISSING:
        return "missing"
    shape = None
    if fault.type in {"integer", "number"}:
        shape = _number_shape(text, fault.type)
    elif fault.type in {"date", "timestamp"}:
        shape = _date_shape(text, fault.type)
    return shape or "other"


def _number_shape(text: str, kind: str) -> str | None:
    patterns = (
        ("fraction", r"[+-]?(\d+\.\d*|\.\d+)(e[+-]?\d+)?|[+-]?\d+e[+-]?\d+"),
        ("huge", r"[+-]?\d+"),
        ("comma", r"[+-]?\d+,\d{1,2}|[+-]?\d+,\d{4,}|[+-]?0,\d+"),
        ("thousands", r"[+-]?\d{1,3}([,.'\u202f\u00a0 ]\d{3})+([.,]\d+)?"),
        ("percent", rf"[+-]?{_NUMERAL} ?%"),
        ("currency", rf"[+-]?[$€£¥] ?{_NUMERAL}|[+-]?{_NUMERAL} ?[$€£¥]"),
        ("infinite", r"[+-]?(inf|infinity)"),
        ("unit", rf"[+-]?{_NUMERAL} ?[a-zµ°]+[²³]?"),
    )
    found = next((name for name, pattern in patterns if re.fullmatch(pattern, text, re.IGNORECASE)), None)
    return "huge" if found == "fraction" and kind == "number" else found


def _date_shape(text: str, kind: str) -> str | None:
    match = _DATE.fullmatch(text)
    if match and not (len(match[1]) == 4 and match[2] == "-" and len(match[3]) == len(match[4]) == 2):  # noqa: PLR2004
        return f"date {match[2]} {'first' if len(match[1]) > 2 else len(match[4])}"  # noqa: PLR2004
    if re.fullmatch(r"\d{8}", text):
        return "compact"
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return "impossible"
    if re.match(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:", text):
        return "time" if kind == "date" else "zone"
    return None


Telling = Callable[[Sequence[str], Fault], tuple[str, str]]


def _blank(values: Sequence[str], fault: Fault) -> tuple[str, str]:
    spelled = {"": "are empty", " ": "are a single blank"}
    phrase = spelled.get(values[0], "are blanks only") if len(values) == 1 else "are blanks only"
    return phrase, _add_nulls(values, fault)


def _missing(values: Sequence[str], fault: Fault) -> tuple[str, str]:
    if fault.personal:
        return "are one of the usual words for a missing value", "list it in source.with.nulls of dataset.yaml"
    return f"are {_listed(values)}", _add_nulls(values, fault)


def _add_nulls(values: Sequence[str], fault: Fault) -> str:
    spelled = ", ".join(_yaml(text) for text in dict.fromkeys((*fault.nulls, *values[:10])))
    return f"if that means missing, in dataset.yaml: source.with.nulls: [{spelled}]"


def _dates(values: Sequence[str], fault: Fault) -> tuple[str, str]:
    found = [match for match in map(_DATE.fullmatch, map(str.strip, values)) if match]
    mark = found[0][2]
    if len(found[0][1]) > 2:  # noqa: PLR2004
        orders = ["%Y{0}%m{0}%d"]
    else:
        year = "%y" if len(found[0][4]) == 2 else "%Y"  # noqa: PLR2004
        orders = [f"%d{{0}}%m{{0}}{year}"] * all(int(match[3]) <= 12 for match in found)  # noqa: PLR2004
        orders += [f"%m{{0}}%d{{0}}{year}"] * all(int(match[1]) <= 12 for match in found)  # noqa: PLR2004
    formats = [order.format(mark) for order in orders]
    if not formats:
        return f"look like dates with {mark}, some with the day first and some with the month first", _REWRITE
    words = " or ".join(_date_words(written) for written in formats)
    chosen = " or ".join(f'format: "{written}"' for written in formats)
    return f"look like {words} dates", f"in dataset.yaml: columns.{fault.column}: {{type: {fault.type}, {chosen}}}"


def _date_words(written: str) -> str:
    return written.replace("%d", "dd").replace("%m", "mm").replace("%y", "yy").replace("%Y", "yyyy")


_REWRITE = "write them in one way in the file, best as yyyy-mm-dd"


def _other(values: Sequence[str], fault: Fault) -> tuple[str, str]:
    text = f"in dataset.yaml: columns.{fault.column}: {{type: string}}, or mend the values in the file"
    if fault.personal:
        return "are other text", text
    if len(values) <= _LISTED:
        return f"are {_listed(values)}", text if len(values) > 1 else f"{_add_nulls(values, fault)}; else {text}"
    return "are other text", text


def _listed(values: Sequence[str]) -> str:
    return " or ".join(f"`{value if len(value) <= _SHOWN else value[:_SHOWN] + '…'}`" for value in values[:_LISTED])


def _yaml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\n", "\\n")
    return f'"{escaped}"'


def _fixed(phrase: str, remedy: str) -> Telling:
    return lambda _values, fault: (phrase, remedy.format(column=fault.column))


_TELL: Mapping[str, Telling] = {
    "blank": _blank,
    "missing": _missing,
    "other": _other,
    "fraction": _fixed("have a fraction", "in dataset.yaml: columns.{column}: {{type: number}}"),
    "huge": _fixed("are out of range", "in dataset.yaml: columns.{column}: {{type: string}} where it is no quantity"),
    "comma": _fixed("contain a decimal comma", 'in dataset.yaml: source.with.decimal: ","'),
    "thousands": _fixed("contain thousands separators", "write the numbers without them in the file"),
    "percent": _fixed("end in %", "write the numbers without the sign in the file"),
    "currency": _fixed("contain a currency sign", "write the numbers without the sign in the file"),
    "infinite": _fixed("are infinite", "leave the value empty, or add its spelling to source.with.nulls"),
    "unit": _fixed("end in a unit", "write the numbers without the unit in the file"),
    "compact": _fixed(
        "look like yyyymmdd dates", 'in dataset.yaml: columns.{column}: {{type: date, format: "%Y%m%d"}}'
    ),
    "impossible": _fixed("are days that no calendar has", "mend the values in the file"),
    "time": _fixed("have a time of day", "in dataset.yaml: columns.{column}: {{type: timestamp}}"),
    "zone": _fixed("have a time zone where others have none, or the reverse", _REWRITE),
    **{f"date {mark} {year}": _dates for mark in "/.-" for year in ("first", 1, 2, 3, 4)},
}

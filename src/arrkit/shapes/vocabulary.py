"""The words that the shapes judge understands: ordered rules from patterns to checks.

Patterns are matched against lower-case text in which "everything the instruction does not mention" and its
many kin have become one word, :data:`OTHERS_WORD`, or
:data:`ALL_OTHERS_WORD` where it is not of objects alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from arrkit.data.pairs import Task
from arrkit.shapes.checks import Check
from arrkit.shapes.scene import Shape


@dataclass(frozen=True, slots=True)
class Rule:
    """Where ``pattern`` matches, a statement of ``task`` (None: of either) asks ``checks``.

    A ``flaw`` pattern names what should not be there: unless it is negated, the statement asks for the
    opposite of the checks. The others name what should be there.
    """

    checks: tuple[Check, ...]
    pattern: re.Pattern[str]
    flaw: bool = False
    task: Task | None = None


def _rule(
    checks: Check | tuple[Check, ...], *patterns: str, flaw: bool = False, task: Task | None = None
) -> Rule:
    joined = "|".join(f"(?:{pattern})" for pattern in patterns)
    return Rule(
        checks if isinstance(checks, tuple) else (checks,), re.compile(rf"\b(?:{joined})\b"), flaw, task
    )


# This judge sees flat shapes and nothing else: a statement with one of these words is beyond it.
FOREIGN = re.compile(
    r"\b(?:anatom\w*|hands?|fingers?|faces?|facial|limbs?|eyes?|hair|skin|people|persons?|humans?|animals?"
    r"|texts?|letter\w*|typograph\w*|legib\w*|spell\w*|words?|captions?|fonts?|light\w*|lit|shadows?"
    r"|photo\w*|realis[mt]\w*|aesthetic\w*|beaut\w*|compos\w*|moods?|emotion\w*|styl\w*|artistic\w*"
    r"|perspective\w*"
    r"|reflections?|textur\w*|blend\w*|seamless\w*|harmon\w*|pleas\w*|appeal\w*|cloth\w*|creativ\w*"
    r"|narrative\w*"
    r"|cultur\w*|atmospher\w*|dramatic\w*|physic\w*|materials?|depth|bokeh|elegan\w*|tasteful\w*|interesting"
    r"|professional\w*|cinematic\w*|brush\w*|logos?|watermarks?)\b"
)

OTHERS_WORD = "otherthings"
ALL_OTHERS_WORD = "allotherthings"

_ASKED = (
    r"(?:prompt\w*|descriptions?|request(?:ed)?|instruct\w+|edit|asked(?: for)?|asks(?: for)?"
    r"|specifie[sd]|describe[sd]"
    r"|named?s?|mention(?:s|ed))"
)
_THING = (
    r"(?:objects?|shapes?|things?|elements?|items?|figures?|entit(?:y|ies)|subjects?|parts?"
    r"|regions?|areas?|contents?)"
)
_NAMED = (
    rf"(?:{_THING}|{'|'.join(Shape)}|{'|'.join(f'{shape}s' for shape in Shape)}|images?|pictures?|scenes?)"
)
_BACK = r"(?:backgrounds?|backdrops?)"
_NOT = (
    r"(?:does not|do not|did not|doesn't|didn't|was not|were not|is not|are not|wasn't|weren't|isn't"
    r"|aren't|not)"
)
_TOUCH = (
    r"(?:mention\w*|ask\w*(?: for)?|concern\w*|target\w*|names?|named|refer\w*(?: to)?|part of"
    r"|meant|involve\w*|cover\w*)"
)

OTHERS = re.compile(
    r"\b(?P<none>no |nothing |none of )?(?:"
    rf"(?:that )?(?:the )?(?:un(?:mentioned|related|involved|concerned|targeted|named)|uninstructed) {_THING}"
    r"|(?:everything|anything|all|nothing|something) (?:else|other)|else"
    r"|(?:the )?(?:rest|remainder)(?: of the \w+)?"
    rf"|(?:(?:all|the|any|every|each|some) )*(?:other|remaining) (?:{_THING}|shapes)|(?:all |the )?others"
    rf"|(?:(?:what|{_THING}|anything|everything|all|something) )?(?:that "
    rf"|which )?(?:the )?(?:instruction|edit|request|prompt) "
    rf"{_NOT} {_TOUCH}"
    rf"|{_THING} (?:that |which )?(?:\w+ )?{_NOT} {_TOUCH}(?: (?:in|by|of) the \w+)?"
    rf"|{_THING} outside (?:of )?the \w+"
    r")(?=\W|$)"
)
"""What the prompt or instruction leaves out; the group ``none`` says that nothing of it ..."""

THING = re.compile(rf"\b(?:{_THING}|others|shapes?)\b")
"""Words for objects."""

_REST = rf"(?:{OTHERS_WORD}|{ALL_OTHERS_WORD})"
_KEEP = (
    r"(?:preserv\w*|remain\w*|stays?|stayed|kept|keeps?|keeping|untouched|unchanged|unaltered|unmodified"
    r"|undisturbed"
    r"|unaffected|retain\w*|same|identical|maintain\w*|left alone|left as|exactly as|as (?:it"
    r"|they) (?:was|were))"
)
_CHANGE = (
    r"(?:chang\w*|alter\w*|modif\w*|disturb\w*|differ\w*|edited|touched|affected|shift\w*|disappear\w*"
    r"|vanish\w*|lost"
    r"|moved|recolou?red|removed|damaged|added)"
)

_KEPT = (Check.PRESERVED, Check.BACKGROUND_KEPT)
_DAMAGE = (Check.WHOLE, Check.CLEAN)
_EDIT, _T2I = Task.EDIT, Task.T2I

# In order: what one rule has matched the next ones no longer see.
RULES = (
    # What an edit must leave alone: background and objects together, then each by itself.
    _rule(
        _KEPT,
        rf"{ALL_OTHERS_WORD}.*?{_KEEP}.*",
        rf"{_KEEP}.{{0,20}}{ALL_OTHERS_WORD}.*",
        rf"{_BACK},? (?:and|or|nor) (?:the )?{_REST}.*?{_KEEP}",
        rf"{_REST},? (?:and|or|nor|including) (?:the )?{_BACK}.*?{_KEEP}",
        rf"{_KEEP}.{{0,20}}(?:{_BACK},? (?:and|or) (?:the )?{_REST}|{_REST},? (?:and|or"
        rf"|including) (?:the )?{_BACK})",
        task=_EDIT,
    ),
    _rule(
        _KEPT,
        rf"{ALL_OTHERS_WORD}.*?{_CHANGE}",
        rf"{_CHANGE}.{{0,20}}{ALL_OTHERS_WORD}",
        rf"{_BACK},? (?:and|or|nor) (?:the )?{_REST}.*?{_CHANGE}",
        rf"{_REST},? (?:and|or|nor|including) (?:the )?{_BACK}.*?{_CHANGE}",
        flaw=True,
        task=_EDIT,
    ),
    _rule(Check.BACKGROUND_KEPT, rf"{_BACK}.*?{_KEEP}.*", rf"{_KEEP}.{{0,20}}{_BACK}.*", task=_EDIT),
    _rule(
        Check.BACKGROUND_KEPT, rf"{_BACK}.*?{_CHANGE}", rf"{_CHANGE}.{{0,20}}{_BACK}", flaw=True, task=_EDIT
    ),
    _rule(Check.PRESERVED, rf"{_REST}.*?{_KEEP}.*", rf"{_KEEP}.{{0,20}}{_REST}.*", task=_EDIT),
    _rule(Check.PRESERVED, rf"{_REST}.*?{_CHANGE}", rf"{_CHANGE}.{{0,20}}{_REST}", flaw=True, task=_EDIT),
    _rule(
        Check.PRESERVED, r"collateral(?: \w+)?", r"side[- ]effects?", r"unintended \w+", flaw=True, task=_EDIT
    ),
    # Whether the edit was done.
    _rule(Check.EXECUTED, rf"{_BACK} (?:is|has|was)(?: been)? (?:now|replaced|turned)\b.*", task=_EDIT),
    _rule(
        Check.EXECUTED,
        r"(?:instructions?|edits?|request(?:ed edit| edit|ed change)?|changes?|requested \w+"
        r"|asked[- ]for \w+)\b.*?\b"
        r"(?:carried out|execut\w*|follow\w*|appl(?:y|ied)|perform\w*|done|made|implement\w*|complet\w*"
        r"|correct\w*"
        r"|visible|realised|realized|fulfil\w*|satisf\w*|happened|took place|took effect|obeyed|respected)",
        r"(?:carr(?:y|ies) out|execut\w*|follow\w*|appl(?:y|ies)|perform\w*|implement\w*|fulfil\w*"
        r"|satisf\w*|match\w*|does"
        r"|do|obeys?|adher\w*).{0,24}?\b(?:instructions?|edit|requests?|requested \w+|change)",
        r"as (?:the instruction \w+|instructed|requested|asked)",
        r"(?:has|have|is|are|was|were|been|gets?|now|actually|really)\b.{0,16}\b(?:recolou?red|removed"
        r"|deleted|added"
        r"|replaced|moved|turned|gone|erased|inserted|repainted|taken away|edited)",
        r"(?:is|are) now",
        r"now (?:shows|has|stands|appears|lies|sits)",
        task=_EDIT,
    ),
    # Damage.
    _rule(
        Check.WHOLE,
        r"missing (?:parts?|pieces?|corners?|edges?)",
        r"(?:parts?|pieces?|corners?)(?: of \w+)? (?:is|are|were|was)? ?(?:missing|lost|gone)",
        r"cut\w*(?:[- ]off)?(?: (?:edges?|objects?|shapes?|parts?))?",
        r"cropp\w*|crops|truncat\w*|clipp\w*|slic\w*|chopp\w*|incomplete|partial(?:ly)?|severed|half[- ]\w+",
        r"(?:run|runs|running|extend\w*|goes|go|fall\w*|reach\w*) (?:off|out of|over|beyond|outside)",
        r"outside the (?:frame|image|picture)",
        flaw=True,
    ),
    _rule(
        _DAMAGE,
        r"art[ei]fact\w*|damag\w*|defect\w*|flaw(?:s|ed)?|glitch\w*|broken|corrupt\w*|blemish\w*|malform\w*",
        flaw=True,
    ),
    _rule(_DAMAGE, r"undamaged|flawless\w*|well[- ]formed|in good shape"),
    _rule(
        Check.CLEAN,
        r"smear\w*|smudg\w*|blurr?\w*|streak\w*|distort\w*|ghost\w*|trails?|trailing|melt\w*|deform\w*"
        r"|warp\w*|fuzz\w*|mess\w*",
        flaw=True,
    ),
    _rule(
        Check.CLEAN,
        r"crisp\w*(?: \w+)?|sharp\w*(?: \w+)?|undistorted|clear[- ]cut",
        rf"clea[nr](?:ly)?(?:[- ]drawn)? (?:edges?|outlines?|contours?|boundar\w*|borders?|silhouettes?"
        rf"|{_THING})",
    ),
    _rule(
        Check.WHOLE,
        r"wholly|whole(?! image| picture| scene| prompt)|complete|entire(?:ly)?(?! image| prompt)|intact"
        r"|uncut|uncropped",
        r"fully (?:visible|inside|within|shown|in|drawn)",
        r"(?:inside|within) the (?:frame|image|picture|borders?|canvas)",
    ),
    _rule(
        Check.PRESERVED, rf"{_NAMED}.*?{_KEEP}.*", rf"{_KEEP}.{{0,20}}{_NAMED}.*", r"preserv\w*", task=_EDIT
    ),
    # What the prompt asks.
    _rule(
        Check.EXTRA,
        r"extra|additional|superfluous|stray|spurious|surplus|redundant|intrud\w*|clutter\w*|hallucinat\w*",
        rf"un(?:requested|asked|asked-for|wanted|expected|necessary|needed) (?:\w+ )?{_NAMED}",
        rf"(?:anything|something|{_THING}) (?:beyond|besides?|other than)",
        flaw=True,
    ),
    _rule(Check.EXTRA, _REST, flaw=True, task=_T2I),
    _rule(Check.PRESERVED, _REST, flaw=True, task=_EDIT),
    _rule(Check.EXTRA, rf"only (?:the |those )?(?:requested |named )?(?:{_THING}|what)"),
    _rule(
        Check.BINDING,
        r"colou?rs?\b.{0,24}?\b(?:swapp\w*|mixed|leak\w*|bleed\w*)(?: \w+)*",
        r"(?:swapp\w*|mixed|leak\w*|bleed\w*) colou?rs?",
        flaw=True,
    ),
    _rule(
        Check.BINDING,
        r"own colou?rs?|colou?rs?(?: \w+){0,6}? (?:own|bound|attached|belong\w*)(?: \w+)*?",
        r"(?:attribute|colou?r)s? (?:binding|attribution|assignment)s?",
        r"attributes?\b.*?\b(?:right|correct\w*|own|bound|belong\w*|match\w*|prompt\w*)",
        r"(?:right|correct) colou?rs? on the (?:right|correct) \w+",
    ),
    _rule(Check.COUNT, r"too many|too few|miscount\w*", flaw=True),
    _rule(
        Check.COUNT,
        r"numbers?|quantit\w*|how many|as many|amounts?|numeros\w*|count(?:s|ed|ing)?|numerical\w*",
    ),
    _rule(
        Check.RELATION,
        r"spatial\w*|position\w*|arrange\w*|plac(?:e|es|ed|ement)|layout|relations?|relationships?"
        r"|relative|locations?"
        r"|located|where the \w+|(?:right|correct|asked|requested|proper) sides?|stands? to"
        r"|left[- ]right|order(?:ed|ing)?",
    ),
    _rule(
        Check.COLOUR,
        rf"(?:colou?r(?:s|ed|ing)?|hues?)\b.*?\b(?:{_ASKED}|right|correct\w*|match\w*|expected|accura\w*)",
        r"(?:right|correct\w*|asked[- ]for|requested|specified|described|accurate) (?:colou?rs?"
        r"|colou?red|hues?)",
        rf"{_ASKED}.{{0,24}}\bcolou?rs?",
    ),
    _rule(Check.COLOUR, r"wrong(?:ly)? (?:colou?r\w*|hues?)", r"colou?rs?\b.{0,20}\bwrong", flaw=True),
    _rule(Check.OBJECTS, r"missing|omit\w*|left out|absent", flaw=True),
    # General looks. A background stands among them: "contrast with the background" asks nothing of it.
    _rule(
        Check.CONTRAST,
        rf"contrast\w*(?:.{{0,30}}\b{_BACK})?",
        rf"(?:stand\w* out|pops?|set off|distinct)(?:.{{0,30}}\b{_BACK})?",
    ),
    _rule(Check.SMOOTHNESS, r"nois(?:e|y)|grain\w*|rough\w*|speckl\w*|busy", flaw=True),
    _rule(
        Check.SMOOTHNESS,
        rf"(?:smooth\w*|even(?:ly)?|calm|tidy|quiet|clean)\b.{{0,20}}\b(?:surfaces?|tones?|shad\w+"
        rf"|{_BACK}|look\w*|render\w*)",
        r"smooth\w*|uncluttered|clean",
    ),
    _rule(
        Check.COVERAGE,
        r"(?:fill\w*|cover\w*|occup\w*|us(?:es?|ing)|tak\w+ up)\b.{0,24}\b(?:frame|image|canvas|picture"
        r"|space|area)",
        r"prominent\w*|large[r]?|big(?:ger)?|generous\w*|coverage|sizable",
    ),
    _rule(Check.COVERAGE, r"empt\w*(?: space)?|tiny|too small", flaw=True),
    _rule(
        Check.VIVIDNESS,
        r"vivid\w*|vibran\w*|saturat\w*|colou?rful\w*|lively|(?:bright|rich|strong|bold|intense) colou?rs?",
    ),
    _rule(Check.VIVIDNESS, r"dull|washed[- ]out|pale|faded", flaw=True),
    _rule(Check.BACKGROUND, _BACK, task=_T2I),
    _rule(Check.BACKGROUND_KEPT, _BACK, task=_EDIT),
)

# Heard only where nothing more exact was.
FALLBACK = (
    _rule(
        Check.OBJECTS,
        rf"{_THING}\b.*?\b(?:present|appear\w*|shown|there|depict\w*|includ\w*|visible|exist\w*"
        rf"|in the image|recogni[sz]\w*)",
        rf"(?:shows?|contains?|depicts?|includes?|has|have) (?:(?:all|every|each|the|of|right|correct"
        rf"|requested) )*{_THING}",
        rf"(?:right|correct|requested|asked[- ]for) (?:kinds?|types?|{_THING})",
        rf"(?:kinds?|types?|shapes?|objects?)\b.*?\b(?:{_ASKED}|right|correct)",
    ),
    _rule(
        Check.FIDELITY,
        r"(?:match\w*|follow\w*|fits?|reflect\w*|satisf\w*|faithful\w*|agree\w*|correspond\w*|depict\w*"
        r"|adher\w*|align\w*"
        rf"|fulfil\w*|consistent|accura\w*|shows?|true)\b.*?\b{_ASKED}",
        rf"{_ASKED}\b.*?\b(?:adherence|fidelity|alignment|match\w*|follow\w*|satisf\w*|fulfil\w*"
        rf"|respected|shown|depict\w*)",
        r"semantic\w*",
        r"(?:everything|all)\b.*?\b(?:asked|asks|requested|prompt|describe[sd]|named?s?)",
    ),
)

NEGATION = re.compile(
    r"\b(?:no|not|never|none|nothing|neither|nor|without|free (?:of|from)|avoid\w*|lacks?|lacking"
    r"|absence of|little of"
    r"|\w+n't|cannot|hardly|devoid of|instead of|rather than)\b"
)

"""Quizzes in QTI 2.1, which most learning platforms read: a zip file with one item a question."""

import zipfile
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from markup import to_html
from questions import Question

QTI = "http://www.imsglobal.org/xsd/imsqti_v2p1"
SCHEMA = f"{QTI} http://www.imsglobal.org/xsd/qti/qtiv2p1/imsqti_v2p1.xsd"
HEAD = (
    f'xmlns="{QTI}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    f' xsi:schemaLocation="{SCHEMA}"'
)


def write_qti(notebook: str, quiz: list[Question], path: Path) -> Path:
    """Writes a quiz as a QTI package.

    Args:
        notebook: Number of the notebook.
        quiz: Its questions.
        path: Of the zip file.

    Returns:
        The path.
    """
    files = {f"{question.id}.xml": item(question) for question in quiz}
    files["test.xml"] = _test(notebook, quiz)
    files["imsmanifest.xml"] = _manifest(notebook, quiz)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in files.items():
            ElementTree.fromstring(text)  # a platform would refuse what is not well-formed
            about = zipfile.ZipInfo(name, (2021, 1, 1, 0, 0, 0))  # the same bytes at every export
            package.writestr(about, text)
    return path


def item(question: Question) -> str:
    """A question as the text of an assessment item."""
    kind = "float" if question.kind == "number" else "identifier"
    cardinality = "multiple" if question.kind == "many" else "single"
    names = {option: f"option{i}" for i, option in enumerate(question.options, 1)}
    right = "".join(f"<value>{names.get(value, value)}</value>" for value in question.right)
    interaction, rules = _number(question) if kind == "float" else _choice(question, names)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<assessmentItem {HEAD} identifier="q-{question.id}" title={quoteattr(question.id)}
  adaptive="false" timeDependent="false">
<responseDeclaration identifier="RESPONSE" cardinality="{cardinality}" baseType="{kind}">
<correctResponse>{right}</correctResponse></responseDeclaration>
<outcomeDeclaration identifier="SCORE" cardinality="single" baseType="float">
<defaultValue><value>0</value></defaultValue></outcomeDeclaration>
<outcomeDeclaration identifier="FEEDBACK" cardinality="single" baseType="identifier"/>
<itemBody>{interaction}</itemBody>
<responseProcessing>{rules}{_set("FEEDBACK", "identifier", "WHY")}</responseProcessing>
<modalFeedback outcomeIdentifier="FEEDBACK" identifier="WHY" showHide="show">
{to_html(question.why)}</modalFeedback>
</assessmentItem>
"""


def _choice(question: Question, names: dict[str, str]) -> tuple[str, str]:
    most = 0 if question.kind == "many" else 1  # 0: as many as one likes
    options = "".join(
        f'<simpleChoice identifier="{name}">{escape(option)}</simpleChoice>'
        for option, name in names.items()
    )
    interaction = (
        f'{to_html(question.ask)}<choiceInteraction responseIdentifier="RESPONSE" '
        f'shuffle="true" maxChoices="{most}">{options}</choiceInteraction>'
    )
    right = '<match><variable identifier="RESPONSE"/><correct identifier="RESPONSE"/></match>'
    return interaction, _score(right)


def _number(question: Question) -> tuple[str, str]:
    interaction = (
        f"{to_html(question.ask)}<p>"
        '<textEntryInteraction responseIdentifier="RESPONSE" expectedLength="10"/></p>'
    )
    near = f"{question.tolerance:g}"
    right = (
        f'<equal toleranceMode="absolute" tolerance="{near} {near}">'
        '<variable identifier="RESPONSE"/><correct identifier="RESPONSE"/></equal>'
    )
    return interaction, _score(right)


def _score(right: str) -> str:
    return (
        f"<responseCondition><responseIf>{right}{_set('SCORE', 'float', 1)}</responseIf>"
        f"<responseElse>{_set('SCORE', 'float', 0)}</responseElse></responseCondition>"
    )


def _set(name: str, kind: str, value) -> str:
    return (
        f'<setOutcomeValue identifier="{name}"><baseValue baseType="{kind}">{value}</baseValue>'
        "</setOutcomeValue>"
    )


def _test(notebook: str, quiz: list[Question]) -> str:
    references = "".join(
        f'<assessmentItemRef identifier="q-{question.id}" href="{question.id}.xml"/>\n'
        for question in quiz
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<assessmentTest {HEAD} identifier="quiz-{notebook}" title="Notebook {notebook}">
<testPart identifier="part" navigationMode="nonlinear" submissionMode="individual">
<assessmentSection identifier="section" title="Notebook {notebook}" visible="true">
{references}</assessmentSection></testPart></assessmentTest>
"""


def _manifest(notebook: str, quiz: list[Question]) -> str:
    def resource(name: str, kind: str, needs: list[str]) -> str:
        more = "".join(f'<dependency identifierref="q-{one}"/>' for one in needs)
        return (
            f'<resource identifier="{name}" type="{kind}" href="{name.removeprefix("q-")}.xml">'
            f'<file href="{name.removeprefix("q-")}.xml"/>{more}</resource>\n'
        )

    names = [question.id for question in quiz]
    resources = resource("test", "imsqti_test_xmlv2p1", names) + "".join(
        resource(f"q-{name}", "imsqti_item_xmlv2p1", []) for name in names
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<manifest xmlns="http://www.imsglobal.org/xsd/imscp_v1p1" identifier="manifest-{notebook}">
<metadata><schema>QTIv2.1 Package</schema><schemaversion>1.0.0</schemaversion></metadata>
<organizations/>
<resources>
{resources}</resources></manifest>
"""

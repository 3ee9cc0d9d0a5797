"""Writes tests/openapi_extract.json from the vendor's OpenAPI description: python tests/make_openapi_extract.py PATH

The description (MIT, see tests/openapi_extract.LICENSE) is at https://github.com/openai/openai-openapi. Kept are the
schemas of what the local server answers, without prose. A schema the local server never sends (tools, images, ...)
becomes `false`, so a test that meets one fails. `nullable: true`, a word of OpenAPI 3.0 that JSON Schema does not
know, is written out as a choice with null.
"""

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOTS = [
    "ErrorResponse",
    "ListModelsResponse",
    "Model",
    "CreateChatCompletionResponse",
    "CreateChatCompletionStreamResponse",
    "CreateCompletionResponse",
    "Response",
    "ResponseCreatedEvent",
    "ResponseInProgressEvent",
    "ResponseOutputItemAddedEvent",
    "ResponseContentPartAddedEvent",
    "ResponseTextDeltaEvent",
    "ResponseTextDoneEvent",
    "ResponseContentPartDoneEvent",
    "ResponseOutputItemDoneEvent",
    "ResponseCompletedEvent",
    "ResponseIncompleteEvent",
    "ResponseFailedEvent",
    "ResponseErrorEvent",
    "CreateTranscriptionResponseJson",
    "CreateTranscriptionResponseVerboseJson",
    "CreateTranslationResponseJson",
    "CreateTranslationResponseVerboseJson",
    "TranscriptTextDeltaEvent",
    "TranscriptTextDoneEvent",
]
PROSE = {"description", "example", "examples", "title", "deprecated", "x-oaiMeta", "x-oaiSupportedSDKs"}
PROSE |= {"x-stainless-const", "discriminator"}
MARK = "#/components/schemas/"
NEVER_SENT = {
    "Annotation", "ChatCompletionMessageToolCalls", "ChatCompletionMessageToolCallChunk", "ChatCompletionModeration",
    "InputItem", "Moderation", "Prompt", "PromptCacheOptions", "ResponseConversation", "Tool",
    "ToolChoiceAllowed", "ToolChoiceTypes", "ToolChoiceFunction", "ToolChoiceMCP", "ToolChoiceCustom",
    "SpecificApplyPatchParam", "SpecificFunctionShellParam", "SpecificProgrammaticToolCallingParam",
    "RefusalContent", "ReasoningTextContent", "TranscriptTextUsageTokens", "TranscriptionLanguage",
}  # fmt: skip
ONLY = {"OutputItem": {"OutputMessage"}, "OutputMessageContent": {"OutputTextContent"}}


def bare(node: Any) -> Any:
    """The schema without prose, with nullable written out."""
    if isinstance(node, list):
        return [bare(part) for part in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if key not in PROSE or _is_property(key, value)}
    nullable = kept.pop("nullable", False)
    cleaned = {
        key: {name: bare(part) for name, part in value.items()} if key == "properties" else bare(value)
        for key, value in kept.items()
    }
    return {"anyOf": [cleaned, {"type": "null"}]} if nullable else cleaned


def _is_property(key: str, value: Any) -> bool:
    return key in ("title", "description") and isinstance(value, dict)


def references(node: Any) -> set[str]:
    """The names of the schemas that `node` refers to."""
    if isinstance(node, list):
        return {name for part in node for name in references(part)}
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].removeprefix(MARK)} if isinstance(node.get("$ref"), str) else set()
    return own | {name for part in node.values() for name in references(part)}


def extract(description: dict[str, Any]) -> dict[str, Any]:
    """The extract, as a JSON schema whose `$defs` hold the schemas."""
    schemas, kept, waiting = description["components"]["schemas"], {}, list(ROOTS)
    while waiting:
        name = waiting.pop()
        if name in kept:
            continue
        kept[name] = False if name in NEVER_SENT else bare(schemas[name])
        for allowed in [ONLY[name]] if name in ONLY else []:
            key = "oneOf" if "oneOf" in kept[name] else "anyOf"
            kept[name] = {key: [{"$ref": f"{MARK}{other}"} for other in sorted(allowed)]}
        waiting += references(kept[name])
    return {
        "$comment": "Extract of OpenAI's OpenAPI description, MIT: see openapi_extract.LICENSE. "
        "Made by make_openapi_extract.py.",
        "info": {"title": description["info"]["title"], "version": description["info"]["version"]},
        "components": {"schemas": dict(sorted(kept.items()))},
    }


if __name__ == "__main__":
    source = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    text = json.dumps(extract(source), indent=1, ensure_ascii=False)
    (HERE / "openapi_extract.json").write_text(text + "\n", encoding="utf-8")

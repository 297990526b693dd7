"""Entry points of the transports that speak OpenAI's wire format. Imported to be listed, so kept light."""

from __future__ import annotations

from arrkit.backends.plugin import JudgePlugin, Parameter

_COMMON = {
    "effort": Parameter(
        "", "reasoning effort: none, minimal, low, medium, high, xhigh or max; as the model likes by default"
    ),
    "temperature": Parameter("", "0 to 2; many models take none but their own, so it is left out by default"),
    "seed": Parameter("", "a whole number, for endpoints that honour one"),
    "max_output_tokens": Parameter(
        0, "room for an answer, reasoning included, where arrkit would leave less", low=0, high=1_000_000
    ),
    "timeout": Parameter(120.0, "seconds until an answer is given up", low=1, high=3600),
}

openai = JudgePlugin(
    summary="OpenAI's models, or any endpoint that speaks their chat completions (base_url)",
    factory="arrkit.backends.judges.openai:make_transport",
    parameters={
        "base_url": Parameter(
            "", "another endpoint, such as https://openrouter.ai/api/v1; its key is optional"
        ),
        "api": Parameter(
            "auto",
            "which interface is spoken; auto knows by the model",
            choices=("auto", "chat", "responses"),
        ),
        "detail": Parameter(
            "high", "how closely images are looked at", choices=("auto", "low", "high", "original")
        ),
        **_COMMON,
    },
    modules=("openai",),
    keys=("OPENAI_API_KEY",),
    keyless=("base_url",),
    model="",
    example="openai:gpt-5.2",
    remote=True,
    transport=True,
)

vllm = JudgePlugin(
    summary="a model that you serve with vLLM; needs no key",
    factory="arrkit.backends.judges.vllm:make_transport",
    parameters={
        "base_url": Parameter("http://localhost:8000/v1", "where the server listens"),
        **_COMMON,
    },
    modules=("openai",),
    model="",
    example="vllm:Qwen/Qwen3-VL-8B-Instruct?base_url=http://localhost:8000/v1",
    remote=True,
    transport=True,
)

gemini = JudgePlugin(
    summary="Google's models through the Gemini API",
    factory="arrkit.backends.judges.gemini:make_transport",
    parameters={
        "base_url": Parameter(
            "", "another address of the Gemini API, such as a proxy's, without its version"
        ),
        "media_resolution": Parameter(
            "auto",
            "how many tokens an image is seen in; ultra_high is for Gemini 3 alone",
            choices=("auto", "low", "medium", "high", "ultra_high"),
        ),
        **_COMMON,
    },
    modules=("google.genai",),
    keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    model="",
    example="gemini:gemini-3.1-pro",
    remote=True,
    transport=True,
)

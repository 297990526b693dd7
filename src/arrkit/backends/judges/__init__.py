"""The transports that ship with arrkit: thin, typed doors to vision-language models.

``openai`` and ``vllm`` speak one wire format and share most of their modules: :mod:`chat`, :mod:`responses`
and :mod:`decisions` are pure functions from requests to bodies and from bodies to replies, :mod:`wire`
sends them, :mod:`errors` says what a failure calls for, and :mod:`profiles` with :mod:`probe` what a model
can do.
"""

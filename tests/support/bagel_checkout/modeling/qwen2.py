"""Stand-in: a token a byte."""


class Qwen2Tokenizer:
    @classmethod
    def from_pretrained(cls, folder):
        return cls()

    def encode(self, text):
        return [4 + byte for byte in text.encode()]

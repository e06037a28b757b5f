from typing import Self

class Recipient:
    @classmethod
    def from_str(cls, v: str) -> Self: ...

# ruff: noqa: N801, N818, A001
# What is used of google-re2 1.1, which ships no types.
class error(Exception): ...

class Options:
    log_errors: bool
    never_capture: bool
    max_mem: int

class Pattern:
    programsize: int
    def search(self, text: str) -> object | None: ...

def compile(pattern: str, options: Options | None = None) -> Pattern: ...

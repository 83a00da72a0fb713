"""The data of requests and responses: headers, URLs, multi-dicts, uploads, state."""

from __future__ import annotations

from framework.datastructures.headers import Headers, MutableHeaders
from framework.datastructures.multidict import ImmutableMultiDict, MultiDict, QueryParams
from framework.datastructures.state import State
from framework.datastructures.uploads import FormData, UploadFile
from framework.datastructures.url import URL, URLPath
from framework.datastructures.values import Address, CommaSeparatedStrings, Secret

__all__ = [
    "URL",
    "Address",
    "CommaSeparatedStrings",
    "FormData",
    "Headers",
    "ImmutableMultiDict",
    "MultiDict",
    "MutableHeaders",
    "QueryParams",
    "Secret",
    "State",
    "URLPath",
    "UploadFile",
]

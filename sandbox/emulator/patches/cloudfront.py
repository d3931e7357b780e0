"""CloudFront: response headers policies."""

import re
from typing import Any

from ministack.services import cloudfront

from sandbox.emulator.patches.hooks import Handler, gap, wrap


@gap
def cloudfront_omits_empty_header_lists() -> None:
    """A response headers policy without custom or removed headers has no element for them."""
    empty_list = re.compile(rb"<(Custom|Remove)HeadersConfig><Quantity>0</Quantity></\1HeadersConfig>")

    async def handle(original: Handler, method: str, path: str, headers: Any, body: Any, query: Any) -> Any:
        status, response_headers, response = await original(method, path, headers, body, query)
        if "response-headers-policy" in path and isinstance(response, bytes):
            response = empty_list.sub(b"", response)
        return status, response_headers, response

    wrap(cloudfront, "handle_request", handle)

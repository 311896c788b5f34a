"""
A receiver of webhooks: verifies the Standard Webhooks signature and prints each result as one line of JSON. It needs Python 3.9 and nothing else.

Usage: TEXT2IMG_WEBHOOK_SECRET=whsec_… PORT=8080 python3 examples/webhook_receiver.py
Then: text2img run --callback-url http://127.0.0.1:8080/ with the same secret.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

SECRET = os.environ.get("TEXT2IMG_WEBHOOK_SECRET", "")
if not SECRET.startswith("whsec_"):
    sys.exit("set TEXT2IMG_WEBHOOK_SECRET to the secret of text2img, whsec_…")
KEY = base64.b64decode(SECRET.removeprefix("whsec_"))

MAX_BODY_BYTES = 16 * 1024 * 1024
# An older message may be one that somebody recorded and sends again.
MAX_AGE_SECONDS = 5 * 60

# A webhook may arrive more than once, always with the same id. Keep the ids where your results are; this example forgets them when it ends.
seen = set()
lock = Lock()


def is_signed(headers, body):
    """HMAC-SHA256 over "id.timestamp.body". While secrets are rotated the header holds several signatures, with blanks between them."""
    timestamp = headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(time.time() - int(timestamp)) > MAX_AGE_SECONDS:
        return False
    content = f"{headers.get('webhook-id', '')}.{timestamp}.".encode() + body
    signed = "v1," + base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()
    entries = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(entry.encode(), signed.encode()) for entry in entries)


class Receiver(BaseHTTPRequestHandler):
    # A client that sends nothing must not hold a thread for ever.
    timeout = 30

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            return self.answer(413)
        # The bytes as they arrived: the signature is over them, so they are not parsed before.
        body = self.rfile.read(int(length))
        if not is_signed(self.headers, body):
            return self.answer(401)
        with lock:
            if self.headers["webhook-id"] not in seen:
                message = json.loads(body)
                for result in message.get("results", []) + message.get("errors", []):
                    print(json.dumps(result), flush=True)
                seen.add(self.headers["webhook-id"])
        # Only now: a webhook that is not answered with 2xx is sent again.
        return self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Receiver)
print(f"listening on {json.dumps({'port': server.server_port})}", file=sys.stderr, flush=True)
server.serve_forever()

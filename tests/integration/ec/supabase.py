"""A Supabase project on loopback: tokens, the key set, and who the user of a token is."""
import base64
import hashlib
import hmac
import json
import secrets
import ssl
import subprocess
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from .client import TIMEOUT_S

KEYS_PATH, USER_PATH = "/auth/v1/.well-known/jwks.json", "/auth/v1/user"


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unurl64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number64(number):
    return url64(number.to_bytes((number.bit_length() + 7) // 8, "big"))


class EcKey:
    alg = "ES256"

    def __init__(self, kid):
        self.kid, self.key = kid, ec.generate_private_key(ec.SECP256R1())

    def sign(self, data):
        r, s = utils.decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def jwk(self):
        n = self.key.public_key().public_numbers()
        x, y = url64(n.x.to_bytes(32, "big")), url64(n.y.to_bytes(32, "big"))
        public = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        return {**public, "kid": self.kid, "alg": self.alg, "use": "sig", "key_ops": ["verify"]}


class RsaKey:
    alg = "RS256"

    def __init__(self, kid):
        self.kid, self.key = kid, rsa.generate_private_key(65537, 2048)

    def sign(self, data):
        return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())

    def pem(self):
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def jwk(self):
        n = self.key.public_key().public_numbers()
        public = {"kty": "RSA", "n": number64(n.n), "e": number64(n.e)}
        return {**public, "kid": self.kid, "alg": self.alg, "use": "sig"}


class Secret:
    alg = "HS256"

    def __init__(self, kid=None, secret=None):
        self.kid, self.secret = kid, secret or secrets.token_bytes(32)

    def sign(self, data):
        return hmac.new(self.secret, data, hashlib.sha256).digest()


class Nothing:
    alg, kid = "none", None

    def sign(self, _data):
        return b""


def certificate(folder, name, host):
    """A CA, NAME-ca.pem, and NAME.pem with NAME.key for a host, signed by it."""
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    ca, leaf = folder / f"{name}-ca", folder / name

    def run(*arguments):
        subprocess.run([*new, "-days", "1", *arguments], check=True, capture_output=True, timeout=30)

    run("-subj", "/CN=test CA", "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
    run(
        *("-subj", "/CN=test", "-addext", f"subjectAltName={host}"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
        *("-CA", f"{ca}.pem", "-CAkey", f"{ca}.key"),
        *("-keyout", f"{leaf}.key", "-out", f"{leaf}.pem"),
    )
    return f"{ca}.pem", f"{leaf}.pem", f"{leaf}.key"


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, _request, _address):
        """Clients that hang up are part of the tests."""


class Supabase:
    """Says of every token that names a user of its: that one. Whether it is signed is told by
    auth_edge's own check, except where no key set could tell."""

    def __init__(self, tls=None):
        self.api_key = "sb_publishable_" + secrets.token_hex(8)
        self.ec, self.rsa, self.secret = EcKey("ec-1"), RsaKey("rsa-1"), Secret()
        self.keys = [self.ec, self.rsa]
        self.users = {}
        self.answer_user = None  # a function of (handler, claims) that answers instead
        self.answer_keys = None  # likewise
        self.requests = []
        self._changed = threading.Condition()
        self._server = Server(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_address[1]
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    # --- users and their tokens

    def add_user(self, **fields):
        sub = str(uuid.uuid4())
        self.users[sub] = {"id": sub, "aud": "authenticated", "email": f"{sub[:8]}@example.org", **fields}
        return sub

    def claims(self, user, **over):
        now = int(time.time())
        claims = {
            "iss": self.url + "/auth/v1", "sub": user, "aud": "authenticated", "exp": now + 3600,
            "iat": now, "role": "authenticated", "aal": "aal1", "session_id": str(uuid.uuid4()),
            "user_metadata": {}, "app_metadata": {"provider": "email"}, "is_anonymous": False,
        }  # fmt: skip
        return {k: v for k, v in {**claims, **over}.items() if v is not None}

    def token(self, user, key=None, header=None, **over):
        key = key or self.ec
        names = {"alg": key.alg, "typ": "JWT", **({"kid": key.kid} if key.kid else {}), **(header or {})}
        parts = [url64(json.dumps(part).encode()) for part in (names, self.claims(user, **over))]
        signed = ".".join(parts)
        return signed + "." + url64(key.sign(signed.encode()))

    # --- serving

    def count(self, path):
        with self._changed:
            return self.requests.count(path)

    def wait_requests(self, path, n):
        with self._changed:
            ok = self._changed.wait_for(lambda: self.requests.count(path) >= n, TIMEOUT_S)
            assert ok, f"{self.requests.count(path)} requests of {path}, not {n}"

    def _seen(self, path):
        with self._changed:
            self.requests.append(path)
            self._changed.notify_all()

    def _user(self, handler):
        bearer = handler.headers.get("Authorization", "")
        if handler.headers.get("apikey") != self.api_key:
            return handler.reply(401, {"message": "Invalid API key", "hint": "Double check it."})
        scheme, _, token = bearer.partition(" ")
        if scheme != "Bearer" or token.strip() != token:
            return handler.reply(400, {"msg": "no bearer"})
        head, claims = (json.loads(unurl64(part)) for part in token.split(".")[:2])
        if self.answer_user:
            return self.answer_user(handler, claims)
        return self.tell(handler, head, claims, token)

    def tell(self, handler, head, claims, token):
        signed, _, signature = token.rpartition(".")
        if head["alg"] == "HS256" and self.secret.sign(signed.encode()) != unurl64(signature):
            return handler.reply(401, {"code": 401, "error_code": "bad_jwt", "msg": "invalid JWT"})
        if claims["sub"] not in self.users:
            return handler.reply(403, {"code": 403, "error_code": "user_not_found", "msg": "gone"})
        return handler.reply(200, self.users[claims["sub"]])

    def _handler(self):
        project = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                project._seen(self.path)
                if self.path == USER_PATH:
                    project._user(self)
                elif self.path != KEYS_PATH:
                    self.reply(404, {})
                elif project.answer_keys:
                    project.answer_keys(self)
                else:
                    self.reply(200, {"keys": [key.jwk() for key in project.keys]})

            def reply(self, status, body, **headers):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": len(data)}.items():
                    self.send_header(name.replace("_", "-"), str(value))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        return Handler

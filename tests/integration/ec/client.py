"""An MQTT client whose every wait is for an event: a message, never a while."""
import json
import os
import socket
import threading
import time

import paho.mqtt.client as mqtt

TIMEOUT_S = float(os.environ.get("EC_TIMEOUT_S", "20"))


def fresh_id():
    """128 random bits in hexadecimal: an id that answers can be sent to."""
    return os.urandom(16).hex()


def no_delay(_client, _userdata, sock):
    """Or every second small message waits 40 ms for the acknowledgement of the first."""
    sock = getattr(sock, "_socket", sock)  # of a websocket
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Message:
    def __init__(self, topic, payload):
        self.topic, self.payload = topic, payload
        self._json = None

    @property
    def binary(self):
        return self.payload[:1] != b"{" and self.payload[:1] != b"["

    @property
    def json(self):
        """The object, or {} for a payload that is not JSON."""
        if self._json is None:
            self._json = {} if self.binary else json.loads(self.payload)
        return self._json

    def get(self, name, default=None):
        return self.json.get(name, default) if isinstance(self.json, dict) else default

    def __repr__(self):
        return f"<{self.topic} {self.payload[:300]!r}>"


class NotLetIn(AssertionError):
    """The broker refuses the connection."""


class Client:
    """One connection. Messages wait in an inbox until somebody expects them."""

    def __init__(self, port, prefix="", client_id=None, login=None, tls=None, transport="tcp", will=None):
        """login: (user, password); tls: the file of a CA; will: (topic, payload)."""
        self.id = client_id or fresh_id()
        self.prefix = prefix + "/" if prefix else ""
        self._inbox = []
        self._changed = threading.Condition()
        self._subscribed = {}
        self._connections = self._losses = 0
        self._refused = False
        self._filters = {}
        self._mqtt = mqtt.Client(client_id=self.id, transport=transport)
        if login:
            self._mqtt.username_pw_set(*login)
        if tls:
            self._mqtt.tls_set(str(tls))
        if will:
            self._mqtt.will_set(*will, qos=1)
        self._mqtt.on_disconnect = self._on_disconnect
        self._mqtt.max_inflight_messages_set(64)
        self._mqtt.reconnect_delay_set(1, 1)
        self._mqtt.on_socket_open = no_delay
        self._mqtt.on_connect = self._on_connect
        self._mqtt.on_message = self._on_message
        self._mqtt.on_subscribe = self._on_subscribe
        self._mqtt.connect("127.0.0.1", port, keepalive=30)
        self._mqtt.loop_start()
        self.wait_connected(1)

    def close(self):
        self._mqtt.disconnect()
        self._mqtt.loop_stop()

    def vanish(self):
        """Drop the connection as a client does that lost its power."""
        self._mqtt.loop_stop(force=True)
        self._mqtt.socket().close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- events, in paho's thread

    def _on_connect(self, client, _userdata, _flags, rc):
        if self._filters:
            client.subscribe(list(self._filters.items()))
        with self._changed:
            self._connections += rc == 0
            self._refused = self._refused or rc != 0
            self._changed.notify_all()

    def _on_disconnect(self, _client, _userdata, _rc):
        with self._changed:
            self._losses += 1
            self._changed.notify_all()

    def _on_message(self, _client, _userdata, message):
        topic = message.topic[len(self.prefix) :]
        with self._changed:
            self._inbox.append(Message(topic, message.payload))
            self._changed.notify_all()

    def _on_subscribe(self, _client, _userdata, mid, granted):
        with self._changed:
            self._subscribed[mid] = granted
            self._changed.notify_all()

    def _wait(self, condition, timeout, what):
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise AssertionError(f"not within {timeout} s: {what()}")

    # --- asking

    def wait_connected(self, times):
        self._wait(lambda: self._connections >= times or self._refused, TIMEOUT_S, lambda: "connected")
        if self._refused:
            self._mqtt.disconnect()
            self._mqtt.loop_stop()
            raise NotLetIn(self.id)

    def wait_lost(self):
        """Until the broker has thrown us out."""
        self._wait(lambda: self._losses > 0, TIMEOUT_S, lambda: "disconnected")

    @property
    def losses(self):
        return self._losses

    @property
    def connections(self):
        return self._connections

    def subscribe(self, *topics, qos=1):
        """Returns once the broker has confirmed."""
        filters = {self.prefix + topic: qos for topic in topics}
        self._filters.update(filters)
        _, mid = self._mqtt.subscribe(list(filters.items()))
        self._wait(lambda: mid in self._subscribed, TIMEOUT_S, lambda: f"subscribed to {topics}")
        return self

    def may_subscribe(self, topic):
        """Subscribe to one filter; whether the broker grants it."""
        _, mid = self._mqtt.subscribe(self.prefix + topic, 1)
        self._wait(lambda: mid in self._subscribed, TIMEOUT_S, lambda: f"answered about {topic}")
        return self._subscribed[mid][0] < 128

    def publish(self, topic, payload, qos=1, retain=False):
        if isinstance(payload, (dict, list)):
            payload = json.dumps(payload, ensure_ascii=False)
        return self._mqtt.publish(self.prefix + topic, payload, qos=qos, retain=retain)

    def publish_wait(self, topic, payload):
        """Returns once the broker has the message."""
        self.publish(topic, payload).wait_for_publish(TIMEOUT_S)

    def forget(self, topic):
        """The broker keeps nothing of that topic for who comes later."""
        message = self._mqtt.publish(self.prefix + topic, b"", qos=1, retain=True)
        message.wait_for_publish(TIMEOUT_S)

    def take(self, topic, predicate=None):
        """The first waiting message of that topic for which predicate holds, or None."""
        with self._changed:
            return self._take(topic, predicate)

    def _take(self, topic, predicate):
        for i, message in enumerate(self._inbox):
            if mqtt.topic_matches_sub(topic, message.topic):
                if predicate is None or predicate(message):
                    return self._inbox.pop(i)
        return None

    def take_all(self, topic, predicate=None):
        found = []
        while (message := self.take(topic, predicate)) is not None:
            found.append(message)
        return found

    def expect(self, topic, predicate=None, timeout=TIMEOUT_S):
        """Take the first such message; wait for it when it is not here yet."""
        found = []

        def arrived():
            message = self._take(topic, predicate)
            if message is not None:
                found.append(message)
            return bool(found)

        self._wait(arrived, timeout, lambda: f"{topic}; in the inbox: {self._inbox[-8:]}")
        return found[0]

    def peek(self, topic):
        with self._changed:
            return [m for m in self._inbox if mqtt.topic_matches_sub(topic, m.topic)]

    def below(self, topic):
        """The waiting messages of topics below that one."""
        with self._changed:
            return [m for m in self._inbox if m.topic.startswith(topic + "/")]

    def ask(self, topic, request, reply_topic, predicate=None, timeout=TIMEOUT_S):
        self.publish(topic, request)
        return self.expect(reply_topic, predicate, timeout)


def eventually(ask, timeout=TIMEOUT_S, pause=0.05):
    """Ask again until the answer is true; for state that announces itself to nobody."""
    deadline = time.monotonic() + timeout
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {timeout} s; last answer: {answer!r}"
        threading.Event().wait(pause)

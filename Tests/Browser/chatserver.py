"""Starts the example chat server for a test. Knows its settings and its database, and nothing of its page."""

import os
import sqlite3
import subprocess
import sys
import threading

from sfuserver import ROOT, die_with_parent

KEY = "a-key-of-tests-with-enough-bytes-in-it"
SECRET = "a-secret-of-tests-with-enough-bytes-in-it"
EXAMPLE = ROOT / "examples/chat-server/chat_server.py"


class ChatServer:
    def __init__(self, directory, sfu_url, port):
        self.url = f"http://127.0.0.1:{port}"
        self.database = directory / "chat.db"
        self.environment = {
            **os.environ, "CHAT_KEY": KEY, "CHAT_WEBHOOK_SECRETS": SECRET, "CHAT_SFU_URL": sfu_url,
            "CHAT_LISTEN": f"127.0.0.1:{port}", "CHAT_DATABASE": str(self.database)}
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, str(EXAMPLE)], env=self.environment, stdout=subprocess.PIPE, text=True,
            preexec_fn=die_with_parent)
        for line in self.process.stdout:
            if line.startswith("Open "):
                break
        else:
            raise AssertionError(f"the chat server ended with {self.process.wait()}")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def events(self, room):
        """(id, number) of what it has taken, in the order in which it took them."""
        with sqlite3.connect(self.database) as db:
            return db.execute("SELECT id, seq FROM events WHERE room = ? ORDER BY rowid", (room,)).fetchall()

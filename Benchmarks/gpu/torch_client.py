"""Our end of the pipe to torch_worker.py."""

import contextlib
import json
import os
import queue
import subprocess
import threading
import time

from machine import Log, StageError


class TorchWorker:
    """torch_worker.py, started anew when it does not answer in time."""

    def __init__(self, command: list[str], log: Log, environment: dict | None = None):
        self.command, self.log, self.environment = command, log, environment
        self.lock = threading.Lock()
        self.process: subprocess.Popen | None = None
        self.about: dict = {}

    def start(self, limit: float) -> None:
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="replace", start_new_session=True, env=self.environment)
        self.replies: queue.Queue = queue.Queue()
        for target, arguments in ((self.collect, (self.process, self.replies)),
                                  (self.drain, (self.process,))):
            threading.Thread(target=target, args=arguments, daemon=True).start()
        self.about = self.reply(limit)

    @staticmethod
    def collect(process: subprocess.Popen, replies: queue.Queue) -> None:
        with process.stdout:
            for line in process.stdout:
                replies.put(line)
        replies.put(None)

    def drain(self, process: subprocess.Popen) -> None:
        with process.stderr:
            for line in process.stderr:
                self.log.write("[torch] " + line)

    def reply(self, limit: float) -> dict:
        try:
            line = self.replies.get(timeout=max(1.0, limit))
        except queue.Empty:
            self.stop()
            raise StageError(f"PyTorch gave no answer in {limit:.0f} s") from None
        if line is None:
            self.stop()
            raise StageError("PyTorch's process ended; log.txt has its words")
        return json.loads(line)

    def ask(self, limit: float, **request) -> dict:
        """The answer; raises StageError where there is none or it is an error."""
        with self.lock:
            started = time.monotonic()
            if self.process is None:
                self.start(limit)
            try:
                self.process.stdin.write(json.dumps(request) + "\n")
                self.process.stdin.flush()
            except OSError as error:
                self.stop()
                raise StageError(f"PyTorch's process ended: {error}") from error
            answer = self.reply(limit - (time.monotonic() - started))
        if "error" in answer:
            raise StageError(answer["error"])
        return answer

    def stop(self) -> None:
        if self.process is not None:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, 9)
            self.process.wait()
            self.process.stdin.close()
            self.process = None

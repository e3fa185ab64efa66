"""Run a reader's answer so that nothing escapes it: no time, memory, output, exit or setting.

The answer runs in the thread of its caller, in a kernel the main one. A second thread watches it
and, when time or memory is up, raises ``Stop`` in it by ``PyThreadState_SetAsyncExc``: that needs
no signal, so it works on Windows too. Where a call into the system blocks, a signal wakes it
(elsewhere ``interrupt_main``). On Linux the memory is also limited by the system.
"""

import _thread
import contextlib
import ctypes
import gc
import io
import os
import random
import signal
import sys
import threading
import warnings
from typing import NamedTuple

import numpy as np
import psutil
import torch

SECONDS = 10
MEMORY = 2 * 10**9   # bytes beyond what the kernel holds already
STACK = 2 * 10**8    # bytes of addresses that a new thread reserves, and some more
LINES = 20           # of what an answer prints are shown
CPU = torch.device("cpu")

# What an answer may change for everything that runs after it: words, how to read, how to set.
SETTINGS = (
    ("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
    ("torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
    ("torch's deterministic algorithms",
     lambda: (torch.are_deterministic_algorithms_enabled(),
              torch.is_deterministic_algorithms_warn_only_enabled()),
     lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1])),
    ("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
    ("torch's default device", torch.get_default_device,
     lambda device: torch.set_default_device(None if device == CPU else device)),
    ("autograd's anomaly detection", torch.is_anomaly_enabled,
     torch.autograd.set_detect_anomaly),
    ("torch's matrix product precision", torch.get_float32_matmul_precision,
     torch.set_float32_matmul_precision),
    ("numpy's handling of errors", np.geterr, lambda value: np.seterr(**value)),
    ("Python's recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    ("the working folder", os.getcwd, os.chdir),
)
# The same for what is put back without a word: random numbers, warnings, signals and the like.
QUIETLY = (
    (random.getstate, random.setstate),
    (np.random.get_state, np.random.set_state),
    (torch.get_rng_state, torch.set_rng_state),
    (lambda: list(warnings.filters), lambda value: setattr(warnings, "filters", value)),
    (lambda: warnings.showwarning, lambda value: setattr(warnings, "showwarning", value)),
    (gc.isenabled, lambda value: gc.enable() if value else gc.disable()),
    (gc.get_threshold, lambda value: gc.set_threshold(*value)),
    (sys.getswitchinterval, sys.setswitchinterval),
)


class Stop(BaseException):
    """Raised in an answer whose time or memory is up."""


class Outcome(NamedTuple):
    """What became of a call: its value, or the error that it raised, or what it did, in words."""

    value: object = None
    error: Exception | None = None
    trouble: str = ""


def guarded(call, seconds=None, memory=None):
    """Call a function of no arguments and return its ``Outcome``; nothing else leaves it.

    What it prints is shown, up to ``LINES`` lines. Settings and random generators are put back.

    Args:
        call: what to run.
        seconds: after which it is stopped, ``SECONDS`` by default.
        memory: bytes that it may take, ``MEMORY`` by default.
    """
    seconds, memory = seconds or SECONDS, memory or MEMORY
    before = [read() for _, read, _ in SETTINGS]
    quietly = [read() for read, _ in QUIETLY]
    watch, shown, process = _Watch(seconds, memory), _Shown(), os.getpid()
    try:
        with _limited(memory), _no_way_out(), _interruptible(), contextlib.redirect_stdout(shown), \
                contextlib.redirect_stderr(shown):
            outcome = watch.run(call)
    finally:
        if os.getpid() != process:   # a copy made by os.fork: it must not go on as the kernel
            os._exit(0)
        changed = [name for (name, read, put), value in zip(SETTINGS, before, strict=True)
                   if _put_back(read, put, value)]
        for (_, put), value in zip(QUIETLY, quietly, strict=True):
            put(value)
    shown.show()
    if outcome.trouble or not changed:
        return outcome
    return Outcome(trouble=f"Your answer changes {changed[0]}, and with it all that runs later. It "
                           "was put back; leave that line out.")


def told(error):
    """Return the first line of what an error says, or "" where it cannot even say that."""
    try:
        return str(error).strip().split("\n")[0].rstrip(".")[:300]
    except Exception:   # it may be the reader's own
        return ""


def _put_back(read, put, value):
    """Return whether a setting had changed; it has its old value again."""
    try:
        if read() == value:
            return False
    except OSError:   # the working folder is gone
        pass
    put(value)
    return True


class _Watch:
    """Runs a call in this thread, and watches its time and memory from another."""

    def __init__(self, seconds, memory):
        self.seconds, self.memory = seconds, memory
        self.thread, self.why = threading.get_ident(), ""
        self.leaving, self.done = False, threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.process = psutil.Process()
        self.most = self.process.memory_info().rss + memory

    def run(self, call):
        """Return the ``Outcome`` of the call."""
        value = error = None
        self.watcher.start()
        try:
            value = call()
            self.leaving = True
        except BaseException as caught:
            self.leaving = True   # before anything else: from here on nothing new is raised
            error = caught
        try:
            self._end()
        except (Stop, KeyboardInterrupt):   # what was raised last arrives here, at most both
            with contextlib.suppress(Stop, KeyboardInterrupt):
                self._end()
            self._end()
        if self.why or error is not None:
            return self._caught(error)
        return Outcome(value)

    def _caught(self, error):
        if self.why:
            return Outcome(trouble=self.why)
        if isinstance(error, MemoryError) or "allocate memory" in told(error):
            return Outcome(trouble=self._too_much())
        if isinstance(error, Exception):
            return Outcome(error=error)
        if isinstance(error, SystemExit):
            return Outcome(trouble="Your answer ends the program, by exit() or the like. Nothing "
                                   "has ended; return a value instead.")
        return Outcome(trouble=f"Your answer was interrupted ({type(error).__name__}), so nothing "
                               "was decided. Check it again.")

    def _too_much(self):
        return (f"Your answer took more than {self.memory / 10**9:.2g} GB of memory and was "
                "stopped. Does something in it grow without end?")

    def _watch(self):
        waited = 0.0
        while not self.done.wait(0.05):
            waited += 0.05
            if self.process.memory_info().rss > self.most:
                return self._stop(self._too_much())
            if waited >= self.seconds:
                return self._stop(f"Your answer ran for more than {self.seconds:g} seconds and was "
                                  "stopped. Does a loop in it never end?")
        return None

    def _stop(self, why):
        """Raise ``Stop`` in the answer until it ends, harder as time goes by."""
        interval, tries = sys.getswitchinterval(), 0
        try:
            while not self.leaving:
                self.why = why
                _raise_in(self.thread, Stop)
                if tries % 10 == 3:   # it may wait for the system
                    _wake(self.thread)
                self.done.wait(0 if tries > 20 else 0.05)
                tries += 1
                if tries == 20:           # it may catch everything: raise while it does
                    sys.setswitchinterval(1e-6)
        finally:
            sys.setswitchinterval(interval)

    def _end(self):
        """Stop the watching, and take back what it raised and was not met yet."""
        self.done.set()
        self.watcher.join()
        _raise_in(self.thread, None)
        for _ in range(100):   # a signal on its way is dealt with at a jump back
            pass


def _raise_in(thread, kind):
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread),
                                               kind and ctypes.py_object(kind))


def _wake(thread):
    """Interrupt a call into the system that the main thread is waiting for."""
    if thread != threading.main_thread().ident or not callable(signal.getsignal(signal.SIGINT)):
        return
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(thread, signal.SIGINT)
    else:
        _thread.interrupt_main()


@contextlib.contextmanager
def _interruptible():
    """Let SIGINT raise ``KeyboardInterrupt``, also where it was ignored: it wakes what waits."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else None
    if before is None:   # only the main thread may ask; or no handler of Python's
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _limited(memory):
    """Let Linux refuse more memory; elsewhere, and beside a GPU's driver, the watch must do."""
    if not sys.platform.startswith("linux") or torch.cuda.is_initialized():
        yield
        return
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    threads = STACK * (os.cpu_count() or 1)   # a thread that cannot begin would end the process
    most = psutil.Process().memory_info().vms + memory + threads
    known = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([most, *known]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def _no_way_out():
    """Turn what would end process or kernel into ``SystemExit``; ``input()`` finds nobody."""
    def leave(*_, **__):
        raise SystemExit

    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    exits = [(os, "_exit"), (os, "abort")] + ([(shell, "ask_exit")] if shell else [])
    kept = [(place, name, vars(place).get(name)) for place, name in exits]
    stdin = sys.stdin
    try:
        sys.stdin = io.StringIO()
        for place, name, _ in kept:
            setattr(place, name, leave)
        yield
    finally:
        sys.stdin = stdin
        for place, name, own in kept:
            if own is None:
                delattr(place, name)
            else:
                setattr(place, name, own)


class _Shown(io.TextIOBase):
    """Keeps the first lines that are written to it and counts the rest."""

    def __init__(self):
        self.kept, self.lines, self.room = [], 0, 100 * LINES

    def write(self, text):
        """Keep a piece of text while there is room."""
        if self.lines < LINES and self.room > 0:
            self.kept.append(text[:self.room])
            self.room -= len(text)
        self.lines += text.count("\n")
        return len(text)

    def show(self):
        """Print what was kept, and how many lines were not."""
        lines = "".join(self.kept).split("\n")[:LINES]
        if any(lines):
            print("\n".join(lines).rstrip("\n"))
        if self.lines > LINES:
            print(f"… and {self.lines - LINES:,} lines more, not shown.")

"""llama.cpp as a contender of the engine's benchmark: see contender.rs for what it is told and what it answers.

Arguments: the GGUF file, the size of its vocabulary, threads, sequences, positions of the longest sequence.
"""

import importlib
import importlib.util
import json
import sys
import time
import types

ERROR = 4  # GGML_LOG_LEVEL_ERROR


def bindings():
    """The package's low-level module alone; what the rest of the package would import is not installed."""
    package = types.ModuleType("llama_cpp")
    package.__path__ = list(importlib.util.find_spec("llama_cpp").submodule_search_locations)
    sys.modules["llama_cpp"] = package
    return importlib.import_module("llama_cpp.llama_cpp")


llama = bindings()


@llama.llama_log_callback
def log(level, text, _):
    if level == ERROR:
        sys.stderr.write(text.decode(errors="replace"))


class Contender:
    def __init__(self, path, vocab, threads, sequences, positions):
        llama.llama_log_set(log, None)
        llama.llama_backend_init()
        params = llama.llama_model_default_params()
        params.n_gpu_layers = 0
        # Read into memory, so that no page is faulted in while something is measured.
        params.load_mode = llama.LLAMA_LOAD_MODE_NONE
        self.model = llama.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            raise RuntimeError(f"cannot load {path}")
        params = llama.llama_context_default_params()
        # Each sequence has a cache of its own, in multiples of 256 positions.
        params.kv_unified = False
        params.n_seq_max = sequences
        params.n_ctx = sequences * -(-positions // 256) * 256
        params.n_batch = max(params.n_batch, positions)
        params.n_threads = params.n_threads_batch = threads
        self.context = llama.llama_init_from_model(self.model, params)
        if not self.context:
            raise RuntimeError("no memory for the caches")
        self.memory = llama.llama_get_memory(self.context)
        self.batch = llama.llama_batch_init(params.n_batch, 0, 1)
        self.vocab = vocab
        self.positions = [0] * sequences

    def compute(self, tokens):
        """Ids with their sequences; the last one of each sequence's gets logits."""
        batch = self.batch
        last = {slot: i for i, (slot, _) in enumerate(tokens)}
        for i, (slot, token) in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = self.positions[slot]
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = slot
            batch.logits[i] = last[slot] == i
            self.positions[slot] += 1
        batch.n_tokens = len(tokens)
        begin = time.perf_counter()
        status = llama.llama_decode(self.context, batch)
        llama.llama_synchronize(self.context)
        seconds = time.perf_counter() - begin
        if status != 0:
            raise RuntimeError(f"llama_decode returned {status}")
        return seconds

    def prefill(self, slot, prompt):
        llama.llama_memory_seq_rm(self.memory, slot, -1, -1)
        self.positions[slot] = 0
        seconds = self.compute([(slot, i * 7919 % self.vocab) for i in range(prompt)])
        logits = llama.llama_get_logits_ith(self.context, prompt - 1)[: self.vocab]
        return {"seconds": [seconds], "next": max(range(self.vocab), key=logits.__getitem__)}

    def decode(self, slots, tokens):
        return {"seconds": [self.compute([(slot, 1) for slot in slots]) for _ in range(tokens)]}


def about():
    """The features that the library was compiled with."""
    words = llama.llama_print_system_info().decode().replace("CPU :", "").split("|")
    on = [word.split("=")[0].strip() for word in words if word.strip().endswith("= 1")]
    return "llama.cpp Q8_0: llama-cpp-python, compiled with " + ", ".join(on)


def main():
    def say(reply):
        print(json.dumps(reply), flush=True)

    path, *sizes = sys.argv[1:]
    vocab, threads, sequences, positions = map(int, sizes)
    try:
        contender = Contender(path, vocab, threads, sequences, positions)
    except RuntimeError as error:
        return say({"error": str(error)})
    say({"about": about(), "together": sequences})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            say(getattr(contender, request.pop("do"))(**request))
        except RuntimeError as error:
            say({"error": str(error)})


main()

"""What a text names besides words: exceptions, error codes, APIs, versions, files, measures, facts of the GPU.

A signal has a normalised name (`EXC:runtimeerror`, `API:torch.nn`, `VER:torch=1.8`) that serves as a feature. Each pattern
is anchored at a rare word or letter and looks around it by a bounded number of characters.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

SignalKind = Literal["EXC", "CODE", "API", "VER", "FILE", "MEAS", "GPU"]
SIGNAL_KINDS: tuple[SignalKind, ...] = ("EXC", "CODE", "API", "VER", "FILE", "MEAS", "GPU")


class Mention(NamedTuple):
    """A signal at `text[start:end]` of the text that was read."""

    name: str
    start: int
    end: int

    @property
    def kind(self) -> SignalKind:
        """What it is, the part of its name before the colon."""
        return self.name.partition(":")[0]  # type: ignore[return-value]  # all names begin with a kind


# A name with what stands before it (of an address or path) and whether it is called.
_NAME = re.compile(r"[/@\\-]?[A-Za-z_][A-Za-z0-9_]*+(?:\.[A-Za-z_][A-Za-z0-9_]*+)*+\(?")
_BEFORE = "/@\\-"
_AROUND = _BEFORE + "("
_LINE_NUMBER = re.compile(r'(?:", line |:|\()(\d{1,6})')
_STATUS = re.compile(r"(?:CUDNN|CUBLAS|CUDA|CUFFT|CUSPARSE|CURAND|CUSOLVER|NCCL|TRT)_(?:STATUS_|ERROR_)[A-Z_]{2,60}")
_FAULT = re.compile(r"SIG(?:SEGV|ABRT|KILL|FPE|BUS|ILL|TERM|INT)|LNK\d{4}|MSB\d{4}|C\d{4}")
_EXCEPTIONS = ("Error", "Exception", "Warning", "Interrupt", "Iteration", "Exit", "Failure")
_EXCEPTION = re.compile(rf"\w{{2,80}}(?:{'|'.join(_EXCEPTIONS)})")
_GPU_MODEL = re.compile(r"(?:[VAPTK](?:100|80|40|4)|(?:RTX|GTX)\d{3,4}(?:Ti|TI|ti)?)")
_SERIES = re.compile(r"[ -]?(?:[Tt][Ii][Tt][Aa][Nn]\b|[A-Z]?\d{1,4}|(?:X|V|RTX|Xp)\b)")
_OF_FILES = """
    py pyx ipynb cpp cc cxx c h hpp cuh cu java scala kt go rs js ts jsx tsx sh bash bat ps1 yaml yml json toml cfg ini conf
    txt md rst csv tsv xml html proto prototxt caffemodel pb pbtxt pth pt ckpt h5 hdf5 onnx tflite mlmodel npy npz pkl
    weights so dll dylib
    a lib exe whl zip tar gz jpg jpeg png bmp gif mp4 avi wav log cmake mk bzl dockerfile
"""
_EXTENSIONS = frozenset(_OF_FILES.split())
_PICTURES = frozenset({"jpg", "jpeg", "png", "bmp", "gif", "mp4", "avi"})
"""Of these only the kind tells something: what they are called is chance."""

_OF_HOSTS = "com org io net cn edu dev ai gov de uk www github"
_HOSTS = frozenset(_OF_HOSTS.split())
_ALIASES = {
    "np": "numpy", "tf": "tensorflow", "pd": "pandas", "plt": "matplotlib.pyplot", "nn": "torch.nn", "F": "torch.nn.functional",
    "K": "keras.backend", "mx": "mxnet", "jnp": "jax.numpy", "pl": "pytorch_lightning", "sp": "scipy",
}  # fmt: skip
_NO_API = frozenset({"self", "cls", "this", "e", "i", "etc"})
_NUMBER = re.compile(r"(\d{1,4}+)\.(\d{1,5}+)(?:\.\d{1,8})?[\w.+]{0,20}")
_POINT = re.compile(r"\.\d")
"""What each of these numbers holds, and is found sooner."""

_BETWEEN = " \t=<>~!:@*`'\"[](-"
"""What may stand between a package and its version."""


def _by_word(names: dict[str, str]) -> dict[str, str]:
    return {word: name for name, words in names.items() for word in words.split()}


_BY_THEIR_NAME = """
    torchvision torchaudio keras numpy ubuntu centos debian cmake bazel mxnet caffe onnx tensorrt detectron2 transformers scipy
    pandas pillow h5py protobuf horovod nccl rocm java spark ray theano pip apex timm matplotlib cython fastai numba clang
"""
_PACKAGES = _by_word(
    {
        "torch": "torch pytorch",
        "tensorflow": "tensorflow tf tensorflow-gpu tf-nightly tf-gpu",
        "python": "python python3 cpython",
        "cuda": "cuda cudatoolkit cuda-toolkit cuda/cudnn nvcc",
        "cudnn": "cudnn",
        "opencv": "opencv opencv-python",
        "gcc": "gcc g++",
        "onnxruntime": "onnxruntime onnxruntime-gpu",
        "mmcv": "mmcv mmcv-full",
        "mmdet": "mmdet mmdetection",
        "jax": "jax jaxlib",
        "sklearn": "sklearn scikit-learn",
        "lightning": "lightning pytorch-lightning pytorch_lightning",
        "conda": "conda anaconda",
        "paddle": "paddle paddlepaddle paddlepaddle-gpu",
        "msvc": "msvc",
        "macos": "macos",
    }
    | {name: name for name in _BY_THEIR_NAME.split()}
)
"""Packages whose versions tell something, by the names that people give them; a version of anything else is a number."""

_MEASURES = _by_word(
    {
        "map": "mAP MAP map",
        "ap": "AP AP50 AP75",
        "acc": "accuracy Accuracy acc Acc val_acc val_accuracy",
        "loss": "loss Loss val_loss losses",
        "precision": "precision Precision",
        "recall": "recall Recall",
        "f1": "F1 f1",
        "iou": "IoU iou IOU mIoU mIOU miou",
        "psnr": "PSNR psnr",
        "ssim": "SSIM ssim",
        "fid": "FID",
        "bleu": "BLEU bleu",
        "auc": "AUC auc",
        "perplexity": "perplexity Perplexity ppl PPL",
        "top1": "top1 Top1",
        "top5": "top5 Top5",
        "fps": "FPS fps",
        "wer": "WER CER",
        "mse": "MSE mse RMSE rmse MAE mae",
    }
)
_MEASURE_NAMES = {f"{before}{word}{call}": word for word in _MEASURES for before in ("", *_BEFORE) for call in ("", "(")}
"""The words for measures by how they stand in a text as names."""

_MEASURED = re.compile(
    r"""(?:@[\d.:\[\]]{1,10})?["'`)\]*]{0,3}
        (?:\s{0,3}(?:score|value|is|was|of|at|about|around|only|becomes?|became|got|to|drops?|
            reached|turns?|goes|went|as|~|≈|=|:|,|\|)){0,4}
        \s{0,3}(?:(?P<number>-?\d{1,6}(?:\.\d{1,12})?)\s{0,2}(?P<percent>%)?|(?P<not>[Nn]a[Nn]|NAN|-?[Ii]nf(?:inity)?)\b)
    """,
    re.VERBOSE,
)
_GPU = _by_word(
    {
        "gpu": "gpu gpus GPU GPUs Gpu",
        "cuda": "cuda CUDA Cuda",
        "cudnn": "cudnn cuDNN CuDNN CUDNN",
        "cublas": "cublas cuBLAS CUBLAS",
        "nccl": "nccl NCCL",
        "tpu": "TPU TPUs tpu",
        "rocm": "ROCm ROCM rocm",
        "cpu": "cpu CPU CPUs",
        "memory": "OOM ResourceExhaustedError",
    }
)
_PHRASES = {
    "out of memory": "GPU:memory", "device-side assert": "GPU:assert", "illegal memory access": "GPU:access",
    "no kernel image": "GPU:kernel", "multi-gpu": "GPU:many", "multiple gpus": "GPU:many", "multi gpu": "GPU:many",
    "2 gpus": "GPU:many", "4 gpus": "GPU:many", "8 gpus": "GPU:many", "nvidia-smi": "GPU:driver", "nvidia driver": "GPU:driver",
    "segmentation fault": "CODE:segmentation-fault", "core dumped": "CODE:core-dumped",
    "undefined symbol": "CODE:undefined-symbol",
    "undefined reference": "CODE:undefined-reference", "deadlock": "CODE:deadlock",
}  # fmt: skip
_CODES = {
    "errno": "errno", "error code": "error", "exit code": "exit", "exit status": "exit",
    "status code": "status", "http error": "http",
}  # fmt: skip
_CODE_NUMBER = re.compile(r"[\]:= ]{0,4}(-?\d{1,10}|0x[0-9A-Fa-f]{1,16})\b")
_READ_OF_A_NAME = 200
"""Characters; longer names are data."""


def find(text: str, *, numbers: bool = True) -> list[Mention]:
    """Return the signals of a text, each name once, at its first place, in the order of these places.

    Parameters
    ----------
    numbers
        Whether to look for versions and measures, too; code and tracebacks are full of numbers that are neither.
    """
    names = set(_NAME.findall(text))
    mentions = [*_named(text, names), *_phrases(text)]
    if numbers:
        mentions += _versions(text)
        mentions += _measures(text, names)
    first: dict[str, Mention] = {}
    for mention in sorted(mentions, key=lambda mention: mention[1:]):
        first.setdefault(mention.name, mention)
    return list(first.values())


def _named(text: str, names: set[str]) -> Iterator[Mention]:
    meant = {name: meaning for name in names if len(name) <= _READ_OF_A_NAME and (meaning := _meaning(name))}
    if not meant:
        return
    first = min(map(text.find, meant))
    for found in _NAME.finditer(text, max(text.rfind(" ", 0, first), text.rfind("\n", 0, first)) + 1):  # no name holds a space
        meaning = meant.pop(found[0], ())
        if not meaning:
            continue
        start, end = found.span()
        start += text[start] in _BEFORE
        end -= text[end - 1] == "("
        for signal in meaning:
            if signal[:5] == "FILE:":
                line = _LINE_NUMBER.match(text, end)
                yield Mention(signal, start, line.end() if line else end)
            elif signal == "GPU:":
                if series := _SERIES.match(text, end):
                    model = text[start : series.end()].lower().replace(" ", "").replace("-", "")
                    yield Mention(f"GPU:{model.removeprefix('tesla')}", start, series.end())
            else:
                yield Mention(signal, start, end)
        if not meant:
            return


@lru_cache(maxsize=2**16)
def _meaning(name: str) -> tuple[str, ...]:
    """Return what signals a name stands for by itself."""
    if "." not in name:
        return _meaning_of_word(name.strip(_AROUND))
    before, called = name[0] if name[0] in _BEFORE else "", name.endswith("(")
    path = name.strip(_AROUND).split(".")
    last = path[-1]
    signals: list[str] = []
    if last.endswith(_EXCEPTIONS) and _EXCEPTION.fullmatch(last):
        signals.append(f"EXC:{last.lower()}")
    if last.lower() in _EXTENSIONS and not called:
        signals.append(f"FILE:{'*' if last.lower() in _PICTURES else path[-2].lower()}.{last.lower()}")
    elif not before and not signals and (called or last not in _HOSTS) and (api := _api(path, called)):
        signals.append("API:" + ".".join(api[:2]))
        if len(api) > 2:
            signals.append("API:" + ".".join(api[-2:]))
    return tuple(dict.fromkeys(signals))


def _meaning_of_word(word: str) -> tuple[str, ...]:
    if word.endswith(_EXCEPTIONS) and _EXCEPTION.fullmatch(word):
        error = f"EXC:{word.lower()}"
        return (error, f"GPU:{_GPU[word]}") if word in _GPU else (error,)
    if word in _GPU:
        return (f"GPU:{_GPU[word]}",)
    if word[0].islower():  # the others are capitals
        return ()
    if _GPU_MODEL.fullmatch(word):
        return (f"GPU:{word.lower()}",)
    if word in ("RTX", "GTX", "Tesla", "Titan", "TITAN", "Quadro", "Jetson"):
        return ("GPU:",)
    return (f"CODE:{word.lower()}",) if _STATUS.fullmatch(word) or _FAULT.fullmatch(word) else ()


def _api(path: list[str], called: bool) -> list[str] | None:
    """Return an API's path with its module's full name, or None for one's own attributes and for sentences without a space."""
    if path[0] in _NO_API:
        path = path[1:]
        return path if called or len(path) > 1 else None
    if len(path) == 2 and not called and len(path[0]) > 3 and path[1][0].isupper() and path[1][1:].islower():
        return None
    return [*_ALIASES.get(path[0], path[0]).split("."), *path[1:]]


def _phrases(text: str) -> Iterator[Mention]:
    lower = text.lower()
    if len(lower) != len(text):  # a few letters grow when lowered; places would no longer be right
        lower = text.translate(_LOWER)
    for phrase, name in _PHRASES.items():
        if (at := lower.find(phrase)) >= 0:
            yield Mention(name, at, at + len(phrase))
    for phrase, name in _CODES.items():
        at = lower.find(phrase)
        while at >= 0:
            if found := _CODE_NUMBER.match(text, at + len(phrase)):
                yield Mention(f"CODE:{name}{found[1].lower()}", at, found.end())
            at = lower.find(phrase, at + len(phrase))


_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _versions(text: str) -> Iterator[Mention]:
    if not _POINT.search(text):
        return
    for found in _NUMBER.finditer(text):
        start = found.start()
        if start and (text[start - 1].isalnum() or text[start - 1] == "."):
            if text[start - 1] not in "vV":
                continue
            start -= 1
        begin = max(0, start - 60)
        head = text[max(begin, text.rfind("\n", begin, start) + 1) : start].rstrip(_BETWEEN)
        if head.endswith(")") and "(" in head:
            head = head[: head.rindex("(")].rstrip(_BETWEEN)
        if head.lower().endswith(("version", "versions")):
            head = head[: head.lower().rindex("version")].rstrip(_BETWEEN)
        words = head.split()
        word = words[-1].lstrip("-*`'\"[(,|/") if words else ""
        package = _PACKAGES.get(word.lower())
        if package and not ("e.g" in head and head.rfind(")") < head.rfind("e.g")):  # a template's example
            at = text.rfind(word, begin, start)
            yield Mention(f"VER:{package}={int(found[1])}.{found[2]}", at, found.end())


def _measures(text: str, names: set[str]) -> Iterator[Mention]:
    for word in sorted({_MEASURE_NAMES[name] for name in names & _MEASURE_NAMES.keys()}):
        at = text.find(word)
        while at >= 0:
            end = at + len(word)
            if (not at or not text[at - 1].isalnum()) and (found := _MEASURED.match(text, end)):
                bad = found["not"]
                yield Mention(f"MEAS:{_MEASURES[word]}" + (f"={bad.lower().strip('-')[:3]}" if bad else ""), at, found.end())
            at = text.find(word, end)

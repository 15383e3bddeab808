"""Weights on disk: what was written is what is read, or nothing is."""

import json
import pickle
import resource
import struct

import pytest
import torch
from safetensors.torch import save_file

from ptheta.errors import RunError, UsageError
from ptheta.weights import digest, read_tensors, write_tensors

TENSORS = {
    "weight": torch.linspace(-1, 1, 12).reshape(3, 4),
    "counts": torch.arange(5),
    "half": torch.tensor([0.5, -2.0], dtype=torch.bfloat16),
    "scalar": torch.tensor(3.25, dtype=torch.float64),
    "flags": torch.tensor([True, False]),
    "nothing": torch.zeros(0, 7),
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.safetensors"
    write_tensors(path, TENSORS, {"note": "p_θ"})
    return path


def refused(path, said):
    with pytest.raises(RunError, match=said) as caught:
        read_tensors(path)
    assert str(path) in str(caught.value)


def test_tensors_come_back_with_their_bits_types_and_shapes(path):
    tensors, metadata = read_tensors(path)
    assert metadata["note"] == "p_θ"
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert tensors[name].shape == tensor.shape
        assert torch.equal(tensors[name], tensor)


def test_views_and_shared_memory_are_written_as_they_look(tmp_path):
    base = torch.arange(6.0).reshape(2, 3)
    write_tensors(tmp_path / "file", {"turned": base.T, "same": base, "row": base[1]})
    tensors, _ = read_tensors(tmp_path / "file")
    assert torch.equal(tensors["turned"], base.T)
    assert torch.equal(tensors["row"], base[1])


def test_any_flipped_bit_of_the_data_is_noticed(path):
    whole = path.read_bytes()
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    for at in range(header, len(whole), 7):
        for bit in (0, 7):
            broken = bytearray(whole)
            broken[at] ^= 1 << bit
            path.write_bytes(broken)
            refused(path, "damaged")


@pytest.mark.parametrize("cut", [0, 4, 8, 100, -1])
def test_a_truncated_file_is_damaged(path, cut):
    path.write_bytes(path.read_bytes()[:cut])
    refused(path, "damaged")


def test_an_extended_file_is_damaged(path):
    path.write_bytes(path.read_bytes() + b"\0")
    refused(path, "damaged")


def test_a_header_that_claims_terabytes_is_refused_at_once(path):
    path.write_bytes(struct.pack("<Q", 2**40) + b"{}")
    refused(path, "damaged")
    claim = json.dumps({"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    path.write_bytes(struct.pack("<Q", len(claim)) + claim)
    refused(path, "damaged")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused_and_their_tensor_is_named(tmp_path, value):
    write_tensors(tmp_path / "file", {"good": torch.ones(2), "bad": torch.tensor([1.0, value])})
    refused(tmp_path / "file", "has values in bad that are not finite")


def test_a_link_is_never_followed(path, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(path)
    refused(link, "is a link, which is never followed")


def test_a_missing_file_and_a_folder_do_not_exist(tmp_path):
    refused(tmp_path / "no", "does not exist")
    refused(tmp_path, "does not exist")


def test_no_bit_of_a_file_can_change_without_notice(path):
    """Header, metadata and tensors: of every byte one bit, which one by a seed."""
    content = path.read_bytes()
    g = torch.Generator().manual_seed(0)
    for at, bit in enumerate(torch.randint(8, (len(content),), generator=g).tolist()):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
        with pytest.raises(RunError):
            read_tensors(path)


def test_files_whose_hash_covers_the_tensors_alone_are_still_read(path):
    """Those of format 3."""
    save_file(TENSORS, path, {"note": "p_θ", "sha256": digest(TENSORS)})
    tensors, metadata = read_tensors(path)
    assert torch.equal(tensors["counts"], TENSORS["counts"])
    assert metadata["note"] == "p_θ"


def test_a_pickle_under_that_name_is_never_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "executed"), "w")

    path = tmp_path / "model.safetensors"
    for content in (pickle.dumps(Trap()), None):
        if content is None:
            torch.save(Trap(), path)
        else:
            path.write_bytes(content)
        refused(path, "damaged")
        assert not (tmp_path / "executed").exists()
    pickle.loads(pickle.dumps(Trap())).close()  # the trap works: it would have been seen
    assert (tmp_path / "executed").exists()


def test_a_full_disk_keeps_the_old_weights_and_leaves_nothing(path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(UsageError, match="cannot write"):
            write_tensors(path, {"large": torch.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert torch.equal(read_tensors(path)[0]["counts"], TENSORS["counts"])
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_weights_can_be_read_by_those_who_can_read_the_rest(path):
    path.with_name("other").write_text("")
    assert path.stat().st_mode == path.with_name("other").stat().st_mode


def test_the_digest_depends_on_name_type_shape_and_value_and_not_on_order():
    x = torch.arange(4, dtype=torch.int32)
    others = [{"b": x}, {"a": x.reshape(2, 2)}, {"a": x.view(torch.float32)}, {"a": x + 1}, {"a": x, "b": x}]
    digests = {digest({"a": x}), *map(digest, others)}
    assert len(digests) == 6
    assert digest({"a": x, "b": x + 1}) == digest({"b": x + 1, "a": x})

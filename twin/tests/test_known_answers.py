"""Every known answer of section 13 of docs/exact.md, in its order."""

import unittest
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from assay_twin.attention import attend, rotate
from assay_twin.commit import kv_root, stage_root
from assay_twin.graph import Cache, cap_logits, embed, embedding
from assay_twin.header import Flag, Header
from assay_twin.merkle import blob_root, h, i16_bytes, i32_bytes, ids_root, list_root, row_root
from assay_twin.mlp import combine, gated, route, ungated
from assay_twin.ops import A15, apply_linear, norm_to, norm_to_a15, requantize
from assay_twin.parts import Linear, Norm
from assay_twin.primitives import NO_EPS, Eps, exp2neg, i64, inv, lut, sat32, scale32, unit
from assay_twin.sampling import Sampling, draw
from assay_twin.tables import GT, G, S
from assay_twin.work import span_work


def linear(w, scales, bias=None, second=None) -> Linear:
    m, k = zip(*scales)
    planes = [np.array(plane, np.int8) for plane in (w, second) if plane]
    return Linear(tuple(planes), i64(m), i64(k), i64(bias if bias else [0] * len(m)))


def row(*values) -> np.ndarray:
    return i64([values])


HEADER = Header(
    spec=1, kind=0, vocab=512, context=128, d=64, layers=4, n_q=4, n_kv=2, head_dim=16, rot=16, f=176, experts=0,
    experts_per_token=0, f_h=12, flags=Flag.FINAL_NORM.value, activation=0, placement=0, rope_tables=1, c_l=0,
    sigma_l=0, cap_l=0, pool=0, eos=(2, 9), tokenizer=bytes([7] * 32), template=bytes([8] * 32),
)  # fmt: skip


class Primitives(unittest.TestCase):
    def equal(self, found, *expected) -> None:
        self.assertEqual(np.asarray(found).ravel().tolist(), list(expected))

    def test_primitives_are_the_pages(self) -> None:
        self.equal(exp2neg(98765), 5902790)
        self.equal([int(lut(S, -70000)), int(lut(G, 70000)), int(lut(GT, -70000))], 4291013, 14382419, 2397562)
        self.assertEqual(inv(2**33 + 12345), (2147480562, 34))
        self.equal(scale32(3, 2**23, 24), 2)
        self.equal(unit(i64([3, -4, 0]), NO_EPS), 644245094, -858993459, 0)
        self.equal(unit(i64([7, -9]), Eps(9000000, -3)), 885791, -1138874)

    def test_scale32_left_shifts_saturate_without_wrapping(self) -> None:
        self.equal(scale32([1, -1, 0, 3, -3, 1], 1, [-31, -31, -200, -29, -29, -30]),
                   2**31 - 1, -(2**31), 0, 3 << 29, -(3 << 29), 1 << 30)  # fmt: skip
        self.equal(scale32([2**36, -(2**36), 1], 2**24 - 1, [-1, -256, 63]), 2**31 - 1, -(2**31), 0)


class Operations(Primitives):
    def a15(self, found: A15, exponent: int, *expected) -> None:
        self.equal(found.q, *expected)
        self.equal(found.e, exponent)

    def test_linear_of_section_3(self) -> None:
        w, scales, bias = [(-128, 127, 3), (1, -1, 0)], [(8388609, 30), (16777215, 20)], [5, -7]
        x = A15(row(16384, -16384, 1), i64([-13]))
        self.equal(apply_linear(linear(w, scales, bias), x, 16), -261115, 4194297)
        second = [(127, -128, 5), (-64, 64, 9)]
        self.equal(apply_linear(linear(w, scales, bias, second), x, 16), -259075, 2097145)

    def test_requantize_of_section_4(self) -> None:
        self.a15(requantize(row(2**40 + 1, -5 * 2**30, 7), 0), 27, 8192, -40, 0)
        self.a15(requantize(row(0, 0), -3), -3, 0, 0)

    def test_norms_of_section_5(self) -> None:
        rows, gains, eps = row(1000, -2000, 3, 0), i64([65536, 131072, -65536, 1]), Eps(8388608, 10)
        rms = Norm(16, eps, gains, i64([0] * 4))
        self.a15(norm_to_a15(rms, rows, False), -13, 3661, -14642, -11, 0)
        self.equal(norm_to(12, rms, rows, False), 1830, -7321, -5, 0)
        layer = Norm(16, eps, gains, i64([1, 2, 3, -65536]))
        self.a15(norm_to_a15(layer, rows, True), -13, 4695, -13158, -948, -8192)
        self.equal(norm_to(12, layer, rows, True), 2347, -6579, -474, -4096)

    def test_rope_of_section_6(self) -> None:
        x = i64([[[100000, -200000, 300000, 400000, 5, -6]]])
        angles = i64([[(759250125, 759250125), (1073741824, 0)]])
        self.equal(rotate(x, angles, i64([34])), -8839, -12500, 17678, 25000, 0, 0)

    def test_attention_of_section_7(self) -> None:
        q, k, v = row(300, -7), i64([(5, 9), (300, 2), (-1, 0)]), i64([(100, -32767), (-50, 7), (9, 9)])
        visible = np.ones((1, 3), bool)
        self.equal(attend(q, k, v, visible, 5000000, 28, None), 4931, -2778769)
        self.equal(attend(q, k, v, visible, 5000000, 40, (5000000, 22)), 5032, -2794279)

    def test_mlp_of_section_8(self) -> None:
        gate, up = row(70000, -70000), row(65536, -65536)
        for table, with_gate, without in (
            (S, (13024, 4476), (13024, -4476)),
            (G, (15002, 2498), (15002, -2498)),
            (GT, (14999, 2501), (14999, -2501)),
        ):
            self.a15(gated(table, gate, up), -14, *with_gate)
            self.a15(ungated(table, gate), -14, *without)

    def test_experts_of_section_8(self) -> None:
        logits, down = row(65536, 131072, 131072, 0), i64([(1000, 2**31 - 1), (-500, 2**31 - 1)])
        for over_all, weight, out in ((False, 8388608, (250, 2147483647)), (True, 6702260, (200, 1715778559))):
            chosen, p = route(logits, 2, over_all)
            self.equal(chosen, 1, 2)
            self.equal(p, weight, weight)
            self.equal(combine(p[0], down), *out)

    def test_embedding_and_cap_of_section_9(self) -> None:
        for second_e, second_p, expected in ((None, None, (-2688, 2920)), ([(64, -1)], [(-65, 127)], (-2741, 3047))):
            e = linear([(-128, 127)], [(12582912, 31)], second=second_e)
            p = linear([(3, -1)], [(8388608, 28)], second=second_p)
            package = SimpleNamespace(header=HEADER, embed=e, positions=p, embedding_norm=None)
            self.equal(embed(package, [0], 0), *expected)
        v = embedding(i64([3, -4, 0]))
        self.equal(v, 19661, -26214, 0)
        root = list_root([i16_bytes(v)])
        self.assertEqual(root.hex(), "de99e3bd82e95d5442e0cc14d7d1c7d7d8b739e0fa8dc9ef5c5fa9329cab1f20")
        capped = Header(**{**vars(HEADER), "c_l": 4473924, "sigma_l": 20, "cap_l": 1966080})
        self.equal(cap_logits(capped, i64([0, 65536, -1966080, 2**31 - 1])), 0, 1911680, -1966080, 1966080)

    def test_sampling_of_section_9(self) -> None:
        logits = i64([0, 65536, 131072, 131072, -65536])
        for t, top_k, top_p, expected in (
            (0, 0, 65536, [2, 2, 2]),
            (5000, 0, 65536, [4, 2, 1]),
            (1000, 2, 65536, [3, 2, 2, 3, 2, 2, 3, 3]),
            (65535, 3, 65535, [3, 2, 1, 3, 1, 1, 2, 3]),
        ):
            sampling = Sampling(t, top_k, top_p)
            self.assertEqual([draw(logits, logits, sampling, 7 + i) for i in range(len(expected))], expected)


class Roots(unittest.TestCase):
    def equal(self, root: bytes, expected: str) -> None:
        self.assertEqual(root.hex(), expected)

    def test_trees_are_the_pages(self) -> None:
        self.equal(list_root([]), "43eef4c3b1d1ab172d0e67b4343716cd593b650761af8abd368840bce94828dc")
        self.equal(list_root([b"a", b"b", b"c"]), "13d3e26040426c295efd828755298f02265db3f50a30a8074c635f8b651a987e")
        self.equal(blob_root(bytes(10_000)), "eea43a4dc3ea48062437bd7236689df1d18830037a6afd297f74fd4a35e38bf9")
        self.equal(ids_root([1, 2, 3, 4, 5]), "9d898f240b17abda54eed931e2e2ae36834e24dc609cb7e2906d39b625b9baea")
        rows = [(1, -2), (3, 4), (-5, 6)]
        self.equal(row_root(rows), "11a8e117040a8a04a755157fc81aad0b23dc3312b82aae73f39dafae899db69f")

    def test_kv_and_tail_are_the_pages(self) -> None:
        positions = range(17)
        k = i64([[(p, head) for head in (0, 1)] for p in positions])
        v = i64([[(-p, 100 + head) for head in (0, 1)] for p in positions])
        self.equal(kv_root([Cache(k, v)]), "fb343f563b1be838ba568ab83911996d775f5a9a8504fea095d5d28ee16c0de3")
        leaf = i32_bytes([1, -2]) + i16_bytes([3, -4]) + i32_bytes(-7)
        self.equal(list_root([leaf]), "1610492f61c86b18edc0ab875baf3072020f895c501e73e45932212bd7f9fcd3")

    def test_header_is_the_pages(self) -> None:
        data = HEADER.to_bytes()
        self.equal(h(data), "1bc18a89f23bcf3e7880228a5690beac10e9d4a1ad3524c3a4b41f6d08022d36")
        self.equal(blob_root(data), "19fb689429cecd6a9a7c37794905d1610618dde4865d5a490b73050fefa9a713")
        self.assertEqual(Header.parse(data), HEADER)

    def test_stage_root_is_the_pages(self) -> None:
        model, seed, in_root, out_root, kv, tail = (bytes([i] * 32) for i in range(1, 7))
        request = (32, Sampling(700, 40, 60000, seed))
        for asked, expected in (
            (request, "bfa654717f040bae46e75dea85c75b42f61c742165f592a284e2f187c9ad23b8"),
            (None, "8aac0c715a0999bab1f066138665d0bf0ebfd82a8198180126dfb3b89019e595"),
        ):
            self.equal(stage_root(model, (4, 9), 100, asked, (in_root, out_root, kv, tail)), expected)

    def test_work_units_are_the_pages(self) -> None:
        self.assertEqual(span_work(HEADER, 0, 4, 0, 10, 10), 2199680)
        self.assertEqual(span_work(HEADER, 0, 4, 0, 10, 1), 1904768)
        # A job of 10 prompt ids and 5 generated ones, on the last two layers.
        self.assertEqual(span_work(HEADER, 2, 4, 0, 14, 5), 1480960)
        fine = replace(HEADER, flags=HEADER.flags | Flag.SECOND_PLANE)
        self.assertEqual(span_work(fine, 0, 4, 0, 10, 10), 4371200)


if __name__ == "__main__":
    unittest.main()

"""Operations with parameters: layers, normalisations, whatever computes its weight."""

from tests.surgery.grammar.writer import Writer, operation


@operation()
def layer(w: Writer) -> None:
    out = w.some_width()
    w.do(f"x = {w.layer(out)}(x)")
    w.width = out


@operation("map")
def strided(w: Writer) -> None:
    out = w.some_width()
    if min(w.space) < 4:
        return
    w.do(f"x = {w.hold(f'nn.Conv2d({w.width}, {out}, 3, 2, 1)')}(x)")
    w.width, w.space = out, tuple((size + 1) // 2 for size in w.space)


@operation("map")
def depthwise(w: Writer) -> None:
    times = w.rng.choice((1, 1, 2))
    conv = w.hold(f"nn.Conv2d({w.width}, {times * w.width}, 3, padding=1, groups={w.width})")
    w.do(f"x = {conv}(x)")
    w.width *= times


@operation("map")
def grouped(w: Writer) -> None:
    if w.width % 2:
        return
    out = w.rng.choice((8, 12))
    w.do(f"x = {w.hold(f'nn.Conv2d({w.width}, {out}, 3, padding=1, groups=2)')}(x)")
    w.width = out


@operation("map")
def functional_depthwise(w: Writer) -> None:
    groups = w.pick(str(w.width), "x.shape[1]", "w.shape[0]")
    w.do(f"w = {w.parameter(f'torch.randn({w.width}, 1, 3, 3) / 3')}")
    w.do(f"x = F.conv2d(x, w, padding=1, groups={groups})")


@operation("map")
def transposed(w: Writer) -> None:
    if max(w.space) > 8:
        return
    out = w.some_width()
    w.do(f"x = {w.hold(f'nn.ConvTranspose2d({w.width}, {out}, 2, 2)')}(x)")
    w.width, w.space = out, tuple(2 * size for size in w.space)


@operation("map")
def transposed_groups(w: Writer) -> None:
    groups = w.rng.choice((2, w.width))
    if w.width % groups:
        return
    w.do(f"x = {w.hold(f'nn.ConvTranspose2d({w.width}, {w.width}, 3, 1, 1, groups={groups})')}(x)")


@operation("sequence")
def over_time(w: Writer) -> None:
    out = w.some_width()
    w.do(f"x = {w.hold(f'nn.Conv1d({w.width}, {out}, 3, padding=1)')}(x.transpose(1, 2)).transpose(1, 2)")
    w.width = out


@operation("vector", "map")
def batch_norm(w: Writer) -> None:
    affine, kind = w.rng.random() < 0.8, "BatchNorm2d" if w.kind == "map" else "BatchNorm1d"
    w.do(f"x = {w.hold(f'nn.{kind}({w.width}, affine={affine})')}(x)")


@operation("vector", "sequence")
def feature_norm(w: Writer) -> None:
    kind = w.pick("LayerNorm", "RMSNorm")
    w.do(f"x = {w.hold(f'nn.{kind}({w.width})')}(x)")


@operation("map")
def group_norm(w: Writer) -> None:
    if w.width % 2 == 0:
        w.do(f"x = {w.hold(f'nn.GroupNorm({w.rng.choice((1, 2, w.width))}, {w.width})')}(x)")


@operation("map")
def instance_norm(w: Writer) -> None:
    w.do(f"x = {w.hold(f'nn.InstanceNorm2d({w.width}, affine={w.rng.random() < 0.5})')}(x)")


@operation()
def parametrised(w: Writer) -> None:
    out, way = (
        w.some_width(),
        w.pick("P.weight_norm", "P.spectral_norm", "nn.utils.weight_norm", "P.orthogonal"),
    )
    name = w.layer(out)
    w.made[-1] = f"{name} = {way}({w.made[-1].partition(' = ')[2]})"
    w.do(f"x = {name}(x)")
    w.width = out


@operation("vector", "sequence")
def computed_weight(w: Writer) -> None:
    out = w.some_width()
    weight = w.parameter(f"torch.randn({out}, {w.width}) / {w.width} ** 0.5")
    other = w.parameter(f"torch.rand({out}, 1)")
    made = w.pick(
        f"{weight} * {other}",
        f"{weight} / {weight}.norm(dim=1, keepdim=True)",
        f"{weight} - {weight}.mean(1, keepdim=True)",
        f"{weight} * (2 / {weight}.shape[1]) ** 0.5",
        f"{weight} / {weight}.abs().max()",
        f"torch.tanh({weight})",
        f"{weight}.abs()",
        f"torch.softmax({weight}, dim=1)",
        f"{weight}[torch.arange({out} - 1, -1, -1)]",
        f"{weight}.t().contiguous().t()",
    )
    w.do(f"x = F.linear(x, {made})")
    w.width = out


@operation("vector", "sequence")
def low_rank(w: Writer) -> None:
    rank, out = w.rng.choice((4, 6)), w.some_width()
    a, b = w.parameter(f"torch.randn({out}, {rank}) / 2"), w.parameter(f"torch.randn({rank}, {w.width}) / 2")
    w.do(f"x = F.linear(x, {a} @ {b})")
    w.width = out


@operation("vector", "sequence")
def tied(w: Writer) -> None:
    weight = w.parameter(f"torch.randn({w.some_width()}, {w.width}) / 3")
    act = w.pick("torch.relu", "torch.tanh", "torch.sigmoid")
    w.do(f"x = F.linear({act}(F.linear(x, {weight})), {weight}.t())")


@operation()
def shared(w: Writer) -> None:
    name, act = w.layer(), w.pick("torch.relu", "torch.tanh", "torch.sigmoid")
    w.do(f"x = {name}({act}({name}(x)))")


@operation("vector", "sequence")
def part_of_a_weight(w: Writer) -> None:
    out = w.rng.choice((8, 12))
    name = w.hold(f"nn.Linear({w.width}, {2 * out})")
    w.do(f"a = F.linear(x, {name}.weight[:{out}], {name}.bias[:{out}])")
    w.do(f"x = a + torch.tanh(F.linear(x, {name}.weight[{out}:], {name}.bias[{out}:]))")
    w.width = out


@operation("sequence")
def recurrent(w: Writer) -> None:
    out, kind = w.rng.choice((6, 8)), w.pick("LSTM", "GRU", "RNN")
    both = w.rng.random() < 0.4
    layers = w.rng.choice((1, 2))
    options = f"batch_first=True, bidirectional={both}, num_layers={layers}"
    w.do(f"x = {w.hold(f'nn.{kind}({w.width}, {out}, {options})')}(x)[0]")
    w.width = (1 + both) * out


@operation("vector")
def cell(w: Writer) -> None:
    out, kind = w.rng.choice((6, 8)), w.pick("GRUCell", "RNNCell")
    name = w.hold(f"nn.{kind}({w.width}, {out})")
    w.do(f"h = {name}(x)")
    w.do(f"x = {name}(x, h)")
    w.width = out


@operation("vector", "sequence")
def bilinear(w: Writer) -> None:
    out = w.some_width()
    w.do(f"x = {w.hold(f'nn.Bilinear({w.width}, {w.width}, {out})')}(x, torch.tanh(x)) / {w.width}")
    w.width = out


@operation("sequence")
def attention(w: Writer) -> None:
    if w.width % 2:
        return
    options = w.pick("", ", add_bias_kv=True", ", add_zero_attn=True", ", bias=False")
    name = w.hold(f"nn.MultiheadAttention({w.width}, 2, batch_first=True{options})")
    w.do(f"x = {w.pick('x + ', '')}{name}(x, x, x, need_weights={w.rng.random() < 0.5})[0]")


@operation("sequence")
def encoder_layer(w: Writer) -> None:
    if w.width % 2 == 0:
        first = w.rng.random() < 0.5
        name = f"nn.TransformerEncoderLayer({w.width}, 2, 12, 0.0, batch_first=True, norm_first={first})"
        w.do(f"x = {w.hold(name)}(x)")


@operation("sequence")
def heads_written_out(w: Writer) -> None:
    if w.width % 4:
        return
    size = w.width // 2
    if w.rng.random() < 0.5:
        w.do(f"q, k, v = {w.layer(3 * w.width)}(x).{w.pick(f'split({w.width}, dim=2)', 'chunk(3, dim=-1)')}")
    else:
        w.do(f"q, k, v = {w.layer()}(x), {w.layer()}(x), {w.layer()}(x)")
    shape = w.pick(
        f"x.shape[0], -1, 2, {size}", "x.shape[0], x.shape[1], 2, -1", f"-1, {w.space[0]}, 2, {size}"
    )
    w.do(f"q, k, v = (t.{w.pick('view', 'reshape')}({shape}).transpose(1, 2) for t in (q, k, v))")
    scale = w.pick(f"{size} ** 0.5", "q.shape[-1] ** 0.5", "2.0")
    mixed = w.pick(
        f"((q @ k.transpose(-2, -1)) / {scale}).softmax(-1) @ v",
        "F.scaled_dot_product_attention(q, k, v)",
        f"torch.einsum('bhqk,bhkd->bhqd', (torch.einsum('bhqd,bhkd->bhqk', q, k) / {scale}).softmax(-1), v)",
    )
    back = w.pick("flatten(2)", f"reshape(x.shape[0], -1, {w.width})", "reshape(*x.shape[:2], -1)")
    w.do(f"y = ({mixed}).transpose(1, 2).{back}")
    w.do(f"x = {w.pick('x + ', '')}{w.layer()}(y)")

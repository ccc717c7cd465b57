"""Operations that networks are odd by: axes used for other things, layers used in other ways."""

from tests.surgery.grammar.writer import Writer, operation


@operation("vector")
def slide_over_units(w: Writer) -> None:
    mode = w.pick("zeros", "circular")
    conv = w.hold(f"nn.Conv1d(1, {w.rng.choice((1, 2))}, 3, padding=1, padding_mode={mode!r})")
    w.do(
        "x = "
        + w.pick(
            f"{conv}(x.unsqueeze(1)).mean(1)",
            "F.avg_pool1d(x.unsqueeze(1), 3, 1, 1).squeeze(1)",
            "F.max_pool1d(x.unsqueeze(1), 3, 1, 1).squeeze(1)",
            "x.unfold(1, 2, 1).mean(-1) if x.shape[1] < 2 else F.pad(x.unfold(1, 2, 1).amax(-1), (0, 1))",
        )
    )


@operation()
def rows_of_the_batch(w: Writer) -> None:
    w.do(
        "x = "
        + w.pick(
            "torch.cat([x, x.flip(0)], 0).chunk(2, 0)[0]",
            "torch.stack([x, torch.tanh(x)], 0).mean(0)",
            "torch.stack([x, torch.tanh(x)], 0)[1]",
            "x.reshape(2, -1, *x.shape[1:]).flatten(0, 1)",
            "x.unsqueeze(0).expand(2, *x.shape).flatten(0, 1)[: len(x)]",
            "torch.cat([x[:1] * 2, x[1:]])",
            "x * torch.arange(len(x)).view(-1, *[1] * (x.dim() - 1))",
        )
    )


@operation()
def misread(w: Writer) -> None:
    w.do(
        "x = "
        + w.pick(
            "x.reshape(-1).reshape(x.shape)",
            "x.reshape(len(x), -1).flip(1).reshape(x.shape)",
            "x.reshape(-1, 2).flip(1).reshape(x.shape) if x.numel() % 2 == 0 else x",
            "x.transpose(0, 1).contiguous().view(x.shape[1], -1).t().reshape(x.shape)",
            "x.flatten(1).unflatten(1, x.shape[1:])",
            "x.as_strided(x.size(), x.stride())" if w.kind == "vector" else "x.flatten(0, 1).view_as(x)",
        )
    )
    if w.kind == "sequence" and w.rng.random() < 0.4:
        w.do(f"x = x.contiguous().view(len(x), {w.width}, {w.space[0]})")
        w.width, w.space = w.space[0], (w.width,)


@operation()
def functional_norms(w: Writer) -> None:
    scale = w.parameter(f"torch.rand({w.width})")
    if w.kind == "map":
        groups = 2 if w.width % 2 == 0 else 1
        w.do(
            "x = "
            + w.pick(
                f"F.group_norm(x, {groups}, {scale})",
                f"F.batch_norm(x, None, None, {scale}, training=True)",
                f"F.instance_norm(x, weight={scale})",
                "F.local_response_norm(x, 3)",
                "F.batch_norm(x, x.mean((0, 2, 3)).detach(), x.var((0, 2, 3)).detach())",
                "F.layer_norm(x, x.shape[1:])",
                "(x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + 1)",
            )
        )
    else:
        ways = f"F.layer_norm(x, ({w.width},), {scale})", f"F.rms_norm(x, x.shape[-1:], {scale})"
        w.do(f"x = {w.pick(*ways)}")


@operation("vector", "map")
def plain_averages(w: Writer) -> None:
    kind = "BatchNorm2d" if w.kind == "map" else "BatchNorm1d"
    options = w.pick("momentum=None", "track_running_stats=False", "eps=0.1", "affine=False, momentum=0.5")
    w.do(f"x = {w.hold(f'nn.{kind}({w.width}, {options})')}(x)")


@operation()
def pruned_elsewhere(w: Writer) -> None:
    out = w.some_width()
    name = w.layer(out)
    w.made.append(f"prune.{w.pick('l1_unstructured', 'random_unstructured')}({name}, 'weight', amount=0.3)")
    w.do(f"x = {name}(x)")
    w.width = out


@operation("vector", "sequence")
def own_parametrization(w: Writer) -> None:
    name = w.hold(f"nn.Linear({w.width}, {w.width})")
    way = w.pick("Symmetric()", "Scaled()", "Centred()")
    w.made.append(f"parametrize.register_parametrization({name}, 'weight', {way})")
    w.do(f"x = {name}(x)")


@operation()
def functional_call(w: Writer) -> None:
    name = w.layer()
    w.do(
        "x = "
        + w.pick(
            f"torch.func.functional_call({name}, {{'weight': {name}.weight * 0.5}}, (x,))",
            f"{name}.forward(x)",
            f"type({name}).forward({name}, x)",
            f"torch.vmap({name})(x)" if w.kind == "vector" else f"{name}(x)",
        )
    )


@operation("vector", "sequence")
def of_an_own_class(w: Writer) -> None:
    out = w.some_width()
    kind = w.pick("Doubled", "Flipped", "Rectified")
    w.do(f"x = {w.hold(f'{kind}({w.width}, {out})')}(x)")
    w.width = out


@operation()
def one_module_twice(w: Writer) -> None:
    name = w.layer()
    w.made.append(f"self.again{w.count} = {name}")
    w.do(f"x = torch.relu({name}(x))")
    if w.rng.random() < 0.6:
        w.do(f"x = self.again{w.count}(x)")


@operation()
def one_parameter_twice(w: Writer) -> None:
    first, second = w.layer(), w.layer()
    w.made.append(f"if {second}.weight.shape == {first}.weight.shape:")
    w.made.append(f"    {second}.weight = {first}.weight")
    act = w.pick("torch.relu", "torch.sigmoid")
    w.do(f"x = {w.pick(f'{second}({act}({first}(x)))', f'{first}(x) * {act}({second}(x))')}")


@operation()
def counted(w: Writer) -> None:
    name = w.buffer(f"torch.zeros({w.width})")
    axes = {"vector": "0", "sequence": "(0, 1)", "map": "(0, 2, 3)"}[w.kind]
    view = ".view(-1, 1, 1)" if w.kind == "map" else ""
    w.do("if self.training:")
    w.do(f"    {name}.{w.pick('copy_', 'add_')}(x.detach().mean({axes}))")
    w.do(f"x = x {w.pick('-', '+')} {name}{view}")


@operation()
def reassigned(w: Writer) -> None:
    name = w.buffer("torch.zeros(())")
    w.do(f"{name} = {name} + 1")
    w.do(f"x = x * {w.pick('1.0', f'(1 + 0 * {name})')}")


@operation()
def bounded_by_parameters(w: Writer) -> None:
    low = w.parameter(f"torch.rand{w.broadcast()} - 1")
    w.do(
        "x = "
        + w.pick(
            f"torch.clamp(x, min={low})",
            f"torch.maximum(x, {low})",
            f"torch.where(x > {low}, x, {low})",
            f"torch.addcmul(x, {low}, torch.tanh(x))",
            f"torch.lerp(x, {low}.expand_as(x), 0.3)",
            f"torch.logaddexp(x, {low}.expand_as(x))",
            f"F.threshold(x, 0.0, 0.0) * {low}",
            f"torch.hypot(x, {low})",
            f"x ** 2 * {low}.exp()",
        )
    )


@operation("map")
def poolings_with_borders(w: Writer) -> None:
    w.do(
        "x = "
        + w.pick(
            "F.avg_pool2d(x, 3, 1, 1)",
            "F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)",
            "F.max_pool2d(x, 3, 1, 1)",
            "x - F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode='replicate'), 3, 1)",
            "F.adaptive_avg_pool2d(x, x.shape[2:])",
            "F.interpolate(x, size=x.shape[2:], mode='bicubic')",
        )
    )


@operation("map")
def conv_options(w: Writer) -> None:
    out = w.some_width()
    mode = w.pick("padding_mode='circular'", "padding_mode='reflect'", "dilation=1", "bias=False", "groups=1")
    w.do(f"x = {w.hold(f'nn.Conv2d({w.width}, {out}, 3, padding=1, {mode})')}(x)")
    w.width = out


@operation("map")
def along_an_axis(w: Writer) -> None:
    name = w.hold(f"nn.Linear({w.space[1]}, {w.space[1]})")
    other = w.hold(f"nn.Linear({w.width}, {w.width})")
    w.do(f"x = {w.pick(f'{name}(x)', f'{other}(x.movedim(1, -1)).movedim(-1, 1)', f'{name}(x.flip(3))')}")


@operation("map")
def windows(w: Writer) -> None:
    if any(size % 2 for size in w.space):
        return
    a, b = w.space
    size = w.pick(str(w.width), "x.shape[1]")
    w.do(f"y = x.view(len(x), {size}, {a // 2}, 2, {b // 2}, 2).permute(0, 2, 4, 3, 5, 1)")
    w.do(f"y = y.reshape(-1, 4, {w.pick(str(w.width), 'x.shape[1]')})")
    w.do(f"y = {w.hold(f'nn.Linear({w.width}, {w.width})')}(y)")
    w.do(f"y = y.view(len(x), {a // 2}, {b // 2}, 2, 2, {w.pick(str(w.width), 'y.shape[-1]')})")
    w.do(f"x = x + y.permute(0, 5, 1, 3, 2, 4).reshape(len(x), -1, {a}, {b})")


@operation("sequence")
def masked_attention(w: Writer) -> None:
    if w.width % 2:
        return
    name = w.hold(f"nn.MultiheadAttention({w.width}, 2, batch_first=True)")
    length = w.space[0]
    option = w.pick(
        f"attn_mask=torch.ones({length}, {length}).triu(1).bool()",
        f"key_padding_mask=(torch.arange({length}) == 0).expand(len(x), -1)",
        "average_attn_weights=False",
    )
    w.do(f"y, a = {name}(x, x, x, {option})")
    w.do(f"x = x + y{w.pick('', ' * a.mean()', ' + a.sum(-1).mean()')}")


@operation("sequence")
def attention_over_other_widths(w: Writer) -> None:
    if w.width % 2:
        return
    size = w.rng.choice((6, 8))
    seen = w.layer(size)
    name = w.hold(f"nn.MultiheadAttention({w.width}, 2, kdim={size}, vdim={size}, batch_first=True)")
    w.do(f"y = torch.relu({seen}(x))")
    w.do(f"x = {name}(x, y, y)[0]")


@operation("sequence")
def decoder_layer(w: Writer) -> None:
    if w.width % 2 == 0:
        memory = w.layer()
        name = w.hold(f"nn.TransformerDecoderLayer({w.width}, 2, 12, 0.0, batch_first=True)")
        w.do(f"x = {name}(x, torch.tanh({memory}(x)))")


@operation("sequence")
def encoder(w: Writer) -> None:
    if w.width % 2 == 0:
        layer = f"nn.TransformerEncoderLayer({w.width}, 2, 12, 0.0, batch_first=True)"
        w.do(f"x = {w.hold(f'nn.TransformerEncoder({layer}, 2, enable_nested_tensor=False)')}(x)")


@operation("sequence")
def embedded_places(w: Writer) -> None:
    name = w.hold(f"nn.Embedding({w.space[0]}, {w.width})")
    w.do(f"x = x {w.pick('+', '*')} {name}(torch.arange(x.shape[1]))")


@operation("sequence")
def packed(w: Writer) -> None:
    out = w.rng.choice((6, 8))
    name = w.hold(f"nn.LSTM({w.width}, {out}, batch_first=True{w.pick('', ', proj_size=4', ', bias=False')})")
    w.do(f"y, (h, c) = {name}(x)")
    w.do("x = y" + w.pick("", " + h[-1].unsqueeze(1)", " * c[-1].mean()"))
    w.width = 4 if "proj_size" in w.made[-1] else out


@operation("sequence")
def scan(w: Writer) -> None:
    rate = w.parameter(f"torch.rand({w.width})")
    w.do("h, made = torch.zeros_like(x[:, 0]), []")
    w.do("for t in range(x.shape[1]):")
    w.do(f"    h = h * torch.sigmoid({rate}) + x[:, t]")
    w.do("    made.append(h)")
    w.do("x = torch.stack(made, 1)")


@operation()
def outputs_on_the_way(w: Writer) -> None:
    w.do("out.append(x)" if w.rng.random() < 0.5 else "out.append(x.mean())")


@operation("vector")
def distances(w: Writer) -> None:
    centres = w.parameter(f"torch.randn(6, {w.width})")
    w.do(
        "x = "
        + w.pick(
            f"torch.exp(-torch.cdist(x, {centres}))",
            f"torch.exp(-(x.unsqueeze(1) - {centres}).square().mean(-1))",
            f"F.cosine_similarity(x.unsqueeze(1), {centres}, dim=-1)",
            f"F.normalize(x, dim=1) @ F.normalize({centres}, dim=1).t()",
        )
    )
    w.width = 6


@operation("vector")
def hypernetwork(w: Writer) -> None:
    name = w.layer(w.width * 4)
    w.do(f"v = {name}(x).view(-1, 4, {w.pick(str(w.width), 'x.shape[1]')})")
    w.do("x = torch.bmm(v, x.unsqueeze(2)).squeeze(2)")
    w.width = 4


@operation("vector")
def of_the_whole_batch(w: Writer) -> None:
    ways = "x + (x @ x.t()).softmax(-1) @ x", "x @ (x.t() @ x).tanh()", "x - (x.t() @ x).diagonal()"
    w.do(f"x = {w.pick(*ways)}")

"""Operations that move units about: parts, joints, orders, poolings, reductions."""

from tests.surgery.grammar.writer import Writer, operation


@operation("map", "sequence")
def flatten(w: Writer) -> None:
    size = w.width
    for places in w.space:
        size *= places
    if size > 128:
        return
    ways = "x.flatten(1)", "x.reshape(len(x), -1)", "torch.flatten(x, 1)", f"x.reshape(-1, {size})"
    w.do(f"x = {w.pick(*ways)}")
    w.kind, w.width, w.space = "vector", size, ()


@operation("map", "sequence")
def mean_of_places(w: Writer) -> None:
    ways = [
        f"x.mean({w.places})",
        f"x.sum({w.places})",
        f"x.amax({w.places})",
        f"x.std({w.places}, correction=0)",
    ]
    ways.append(f"x.norm(dim={w.places})")
    if w.kind == "map":
        ways += [
            "F.adaptive_avg_pool2d(x, 1).flatten(1)",
            "F.adaptive_max_pool2d(x, 1).squeeze()",
            "x.mean(2).mean(2)",
        ]
    else:
        ways += ["x[:, -1]", "x.max(1).values", "x.mean(dim=1, keepdim=True).squeeze(1)", "x.logsumexp(1)"]
    w.do(f"x = {w.pick(*ways)}")
    w.kind, w.space = "vector", ()


@operation("map")
def to_sequence(w: Writer) -> None:
    w.do(f"x = {w.pick('x.flatten(2).transpose(1, 2)', 'x.permute(0, 2, 3, 1).flatten(1, 2)')}")
    w.kind, w.space = "sequence", (w.space[0] * w.space[1],)


@operation("vector")
def to_sequence_by_parts(w: Writer) -> None:
    if w.width % 4 == 0:
        ways = f"x.view(len(x), -1, {w.width // 4})", "x.unflatten(1, (4, -1))", "x.view(len(x), 4, -1)"
        w.do(f"x = {w.pick(*ways)}")
        w.kind, w.width, w.space = "sequence", w.width // 4, (4,)


@operation("map")
def pool(w: Writer) -> None:
    if min(w.space) < 4 or any(size % 2 for size in w.space):
        return
    ways = "avg_pool2d(x, 2)", "max_pool2d(x, 2)", "lp_pool2d(x, 2, 2)", "interpolate(x, scale_factor=0.5)"
    w.do(f"x = F.{w.pick(*ways)}")
    w.space = tuple(size // 2 for size in w.space)


@operation("map")
def enlarge(w: Writer) -> None:
    if max(w.space) > 8:
        return
    w.do(f"x = F.interpolate(x, scale_factor=2, mode={w.pick(repr('nearest'), repr('bilinear'))})")
    w.space = tuple(2 * size for size in w.space)


@operation("map")
def pixels(w: Writer) -> None:
    if w.width % 4 == 0 and max(w.space) <= 8:
        w.do("x = F.pixel_shuffle(x, 2)")
        w.width, w.space = w.width // 4, tuple(2 * size for size in w.space)
    elif not any(size % 2 for size in w.space):
        w.do("x = F.pixel_unshuffle(x, 2)")
        w.width, w.space = 4 * w.width, tuple(size // 2 for size in w.space)


@operation("map")
def pad_places(w: Writer) -> None:
    mode = w.pick("", ", mode='reflect'", ", value=0.5")
    w.do(f"x = F.pad(x, (1, 0, 0, 1){mode})")
    w.space = tuple(size + 1 for size in w.space)


@operation()
def pad_units(w: Writer) -> None:
    sides = "(0, 0, 0, 0, 1, 1)" if w.kind == "map" else "(1, 1)"
    w.do(f"x = F.pad(x, {sides}{w.pick('', ', value=1.0')})")
    w.width += 2


@operation()
def part(w: Writer) -> None:
    axis, half = w.axis, w.width // 2
    if half < 2:
        return
    lead = "..., " if w.kind != "map" else ":, "
    ways = {
        f"x.narrow({axis}, 0, {half})": half,
        f"x[{lead}:{half}]": half,
        f"x[{lead}{half}:]": w.width - half,
        f"x[{lead}::2]": (w.width + 1) // 2,
        f"x[{lead}1:]": w.width - 1,
        f"x[{lead}:-1]": w.width - 1,
        f"x.chunk(2, {axis})[0]": (w.width + 1) // 2,
        f"x.split({half}, {axis})[1]": half,
        f"x.index_select({axis}, torch.tensor([1, 0, 1]))": 3,
        f"x[{lead}[0, 1]]": 2,
        f"x.narrow({axis}, 0, x.shape[{axis}] // 2)": half,
    }
    own = w.pick(*ways)
    w.do(f"x = {own}")
    w.width = ways[own]


@operation()
def halves(w: Writer) -> None:
    axis = w.axis
    if w.width % 2:
        return
    half = w.width // 2
    parts = w.pick(f"x.chunk(2, {axis})", f"x.split({half}, {axis})", f"torch.tensor_split(x, 2, {axis})")
    w.do(f"a, b = {parts}")
    own = w.pick(
        "a * torch.sigmoid(b)",
        "a + b",
        f"torch.cat([b, a], {axis})",
        f"torch.cat([a, torch.tanh(b)], {axis})",
        f"F.glu(x, {axis})",
        f"torch.stack([a, b], {axis + 1}).flatten({axis}, {axis + 1})",
        "torch.maximum(a, b)",
        f"torch.cat([-b, a], {axis})",
        f"torch.cat([a, a], {axis})",
    )
    w.do(f"x = {own}")
    w.width = w.width if own.startswith(("torch.cat", "torch.stack")) else half


@operation()
def uneven(w: Writer) -> None:
    axis, first = w.axis, max(1, w.width // 4)
    w.do(f"a, b = x.split([{first}, {w.width - first}], {axis})")
    own = w.pick(f"torch.cat([torch.relu(a), b], {axis})", f"torch.cat([b, a * a], {axis})", "b * a.mean()")
    w.do(f"x = {own}")
    w.width = w.width - first if own.startswith("b") else w.width


@operation()
def order(w: Writer) -> None:
    axis = w.axis
    index = w.buffer(f"torch.randperm({w.width}, generator=torch.Generator().manual_seed(1))")
    w.do(
        "x = "
        + w.pick(
            f"x.flip({axis})",
            f"x.roll(1, {axis})",
            f"x.index_select({axis}, {index})",
            f"x.unflatten({axis}, (2, -1)).transpose({axis}, {axis + 1}).flatten({axis}, {axis + 1})"
            if w.width % 2 == 0
            else f"x.flip({axis})",
            f"torch.stack(x.unbind({axis})[::-1], {axis})",
            f"x.movedim({axis}, 0).flip(0).movedim(0, {axis})",
        )
    )


@operation()
def repeated(w: Writer) -> None:
    axis = w.axis
    if w.width > 16:
        return
    w.do(
        "x = "
        + w.pick(
            f"x.repeat_interleave(2, {axis})",
            f"torch.cat([x, x], {axis})",
            f"torch.cat([x, torch.tanh(x)], {axis})",
            f"torch.cat([x, -x], {axis})",
            f"torch.stack([x, x * x], {axis}).flatten({axis}, {axis + 1})",
            {
                "vector": "x.repeat(1, 2)",
                "sequence": "x.unsqueeze(2).expand(-1, -1, 2, -1).flatten(2, 3)",
                "map": "x.unsqueeze(1).expand(-1, 2, -1, -1, -1).flatten(1, 2)",
            }[w.kind],
        )
    )
    w.width *= 2


@operation()
def across_units(w: Writer) -> None:
    axis = w.axis
    w.do(
        "x = "
        + w.pick(
            f"x - x.mean({axis}, keepdim=True)",
            f"x / (1 + x.norm(dim={axis}, keepdim=True))",
            f"x.softmax({axis})",
            f"F.normalize(x, dim={axis})",
            f"x + x.amax({axis}, keepdim=True)",
            f"x * x.sum({axis}, keepdim=True).tanh()",
            f"x - x.logsumexp({axis}, keepdim=True)",
            f"x.cumsum({axis}) / 4",
            f"x * x.var({axis}, keepdim=True, correction=0)",
            f"x * torch.linalg.vector_norm(x, dim={axis}, keepdim=True)",
            f"x + x.max({axis}, keepdim=True)[0]",
            f"x / (1 + x.abs().sum({axis}, keepdim=True))",
            f"x.sort({axis}).values",
            f"x + x.select({axis}, 0).unsqueeze({axis})",
            f"x * (1 + x.prod({axis}, keepdim=True))",
            "F.layer_norm(x, x.shape[-1:])",
        )
    )


@operation()
def squeezed(w: Writer) -> None:
    w.do(f"x = {w.pick('x.unsqueeze(1).squeeze()', 'x.unsqueeze(-1).squeeze(-1)', 'x.squeeze()')}")


@operation("sequence")
def start_token(w: Writer) -> None:
    token = w.parameter(f"torch.randn({w.width})")
    w.do(f"x = torch.cat([{token}.expand(len(x), 1, -1), x], 1)")
    w.space = (w.space[0] + 1,)


@operation("sequence")
def positions(w: Writer) -> None:
    w.do(f"x = x + {w.parameter(f'torch.randn({w.space[0]}, {w.width}) / 4')}")


@operation("sequence", "map")
def flat_and_back(w: Writer) -> None:
    sizes = ", ".join(map(str, (w.width, *w.space) if w.kind == "map" else (*w.space, w.width)))
    w.do(f"x = {w.pick(f'x.flatten(1).view(-1, {sizes})', 'torch.relu(x.reshape(len(x), -1)).view_as(x)')}")

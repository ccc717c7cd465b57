"""Operations that bring branches together, and those that networks are odd by."""

from tests.surgery.grammar.writer import Writer, operation


@operation()
def keep(w: Writer) -> None:
    w.keep()


@operation()
def residual(w: Writer) -> None:
    inner = w.some_width()
    act = w.pick("torch.relu", "torch.tanh", "torch.sigmoid", "F.gelu")
    first = w.layer(inner)
    w.do(f"x = x + {w.layer(width=inner)}({act}({first}(x)))")


@operation()
def gated(w: Writer) -> None:
    gate = w.layer()
    w.do(f"x = {w.pick(f'x * torch.sigmoid({gate}(x))', f'torch.tanh({w.layer()}(x)) * {gate}(x)')}")


@operation()
def highway(w: Writer) -> None:
    gate, turn = w.layer(), w.layer()
    w.do(f"g = torch.sigmoid({gate}(x))")
    w.do(f"x = {w.pick(f'g * torch.relu({turn}(x)) + (1 - g) * x', f'torch.lerp(x, {turn}(x), g)')}")


@operation()
def joined(w: Writer) -> None:
    out = w.some_width()
    branches = [f"torch.relu({w.layer(out)}(x))", "x"]
    w.rng.shuffle(branches)
    w.do(f"x = torch.cat([{', '.join(branches)}], {w.axis})")
    w.width += out


@operation()
def with_earlier(w: Writer) -> None:
    for name, (kind, width, space) in w.kept.items():
        if kind == w.kind and space == w.space:
            if width == w.width:
                cat = f"torch.cat([x, {name}], {w.axis})"
                w.do(f"x = {w.pick(f'x + {name}', f'x * {name}', cat, f'x - {name}')}")
                w.width *= 2 if "cat" in w.done[-1] else 1
            else:
                w.do(f"x = torch.cat([{name}, x], {w.axis})")
                w.width += width
            return


@operation("map")
def excitation(w: Writer) -> None:
    inner = w.rng.choice((4, 6))
    a, b = w.hold(f"nn.Conv2d({w.width}, {inner}, 1)"), w.hold(f"nn.Conv2d({inner}, {w.width}, 1)")
    w.do(f"x = x * torch.sigmoid({b}(torch.relu({a}(x.mean((2, 3), keepdim=True)))))")


@operation("map")
def excitation_flat(w: Writer) -> None:
    inner = w.rng.choice((4, 6))
    a, b = w.hold(f"nn.Linear({w.width}, {inner})"), w.hold(f"nn.Linear({inner}, {w.width})")
    view = w.pick("view(x.shape[0], x.shape[1], 1, 1)", f"view(-1, {w.width}, 1, 1)", "[:, :, None, None]")
    w.do(f"x = x * torch.sigmoid({b}(torch.relu({a}(x.mean((2, 3)))))).{view}".replace(".[", "["))


@operation("vector", "sequence")
def experts(w: Writer) -> None:
    out = w.some_width()
    gate = w.hold(f"nn.Linear({w.width}, 3)")
    stack = ", ".join(f"{w.layer(out)}(x)" for _ in range(3))
    w.do(f"x = (torch.stack([{stack}], -1) * {gate}(x).softmax(-1).unsqueeze(-2)).sum(-1)")
    w.width = out


@operation("sequence")
def across_places(w: Writer) -> None:
    inner = w.some_width()
    a, b = w.hold(f"nn.Linear({w.space[0]}, {inner})"), w.hold(f"nn.Linear({inner}, {w.space[0]})")
    w.do(f"x = x + {b}(torch.relu({a}(x.transpose(1, 2)))).transpose(1, 2)")


@operation("sequence")
def gram(w: Writer) -> None:
    own = w.pick(
        "torch.softmax(x @ x.transpose(1, 2) / 4, -1) @ x",
        "x @ torch.tanh(x.transpose(1, 2) @ x)",
        "torch.einsum('btd,bsd,bse->bte', x, x, x) / 32",
        "torch.baddbmm(x, torch.tanh(torch.bmm(x, x.transpose(1, 2))), x)",
        "x - torch.cdist(x, x).mean(-1, keepdim=True)",
    )
    w.do(f"x = {own}")


@operation("vector")
def outer(w: Writer) -> None:
    out = w.rng.choice((3, 4))
    a = w.layer(out)
    w.do(f"x = ({a}(x).unsqueeze(2) * x.unsqueeze(1)){w.pick('.flatten(1)', '.transpose(1, 2).flatten(1)')}")
    w.width *= out


@operation("vector", "sequence")
def einsum_layer(w: Writer) -> None:
    out = w.some_width()
    weight = w.parameter(f"torch.randn({w.width}, {out}) / 3")
    w.do(
        "x = "
        + w.pick(f"torch.einsum('...i,io->...o', x, {weight})", f"x @ {weight}", f"torch.matmul(x, {weight})")
    )
    w.width = out


@operation("vector", "sequence")
def many_heads(w: Writer) -> None:
    weight = w.parameter(f"torch.randn(2, {w.width}, 6) / 3")
    kind = "bi,hio->bho" if w.kind == "vector" else "bti,hio->btho"
    w.do(f"x = torch.einsum('{kind}', x, {weight}).flatten(-2)")
    w.width = 12


@operation("vector", "sequence")
def attended_by_queries(w: Writer) -> None:
    if w.kind == "sequence":
        query = w.parameter(f"torch.randn(3, {w.width})")
        w.do(f"x = torch.softmax({query} @ x.transpose(1, 2), -1) @ x")
        w.space = (3,)


@operation("vector")
def graph(w: Writer) -> None:
    name = w.layer()
    w.do("e = torch.tensor([[0, 1, 2, 0], [1, 2, 0, 3]])")
    w.do(f"s = {name}(x)[e[0]]")
    w.do(
        "x = "
        + w.pick(
            "torch.zeros_like(x).index_add(0, e[1], s)",
            "x + torch.zeros_like(x).scatter_add(0, e[1][:, None].expand_as(s), s)",
            "x.index_copy(0, e[1], torch.tanh(s))",
        )
    )


@operation()
def scalar_of_all(w: Writer) -> None:
    ways = (
        "x * x.mean().tanh()",
        "x / (1 + x.norm())",
        "x - x.amax()",
        "x * x.std()",
        "x + x.pow(2).sum().tanh()",
    )
    w.do(f"x = {w.pick(*ways)}")


@operation()
def held_in_a_list(w: Writer) -> None:
    name = w.layer()
    w.made.append(f"self.held = [{name}.weight]")
    w.do(f"x = torch.tanh({name}(x)) * self.held[0].abs().mean()")


@operation("vector")
def leaves_torch(w: Writer) -> None:
    w.do(
        w.pick(
            "x = x * torch.from_numpy(np.tanh(x.detach().numpy()))",
            "x = x * torch.tensor(x.detach().abs().mean(0).tolist(), dtype=x.dtype)",
            "x = x / float(x.detach().abs().mean() + 1)",
        )
    )


@operation()
def checkpointed(w: Writer) -> None:
    w.do(f"x = x + checkpoint(lambda t: torch.tanh({w.layer()}(t)), x, use_reentrant=False)")


@operation("vector", "sequence")
def feed_forward(w: Writer) -> None:
    inner = w.some_width()
    a, b, c = w.layer(inner), w.layer(inner), w.layer(width=inner)
    w.do(f"x = x + {c}(F.silu({a}(x)) * {b}(x))")


@operation()
def nested(w: Writer) -> None:
    out = w.some_width()
    name = w.hold(f"nn.ModuleDict({{'a': {_bare(w, out)}, 'b': {_bare(w, out)}}})")
    w.do(f"x = torch.relu({name}['a'](x)) + {name}['b'](x)")
    w.width = out


def _bare(w: Writer, out: int) -> str:
    return f"nn.Conv2d({w.width}, {out}, 1)" if w.kind == "map" else f"nn.Linear({w.width}, {out})"

"""Operations entry by entry: activations, choices, arithmetic with sizes and constants, in place."""

from tests.surgery.grammar.writer import Writer, operation


@operation()
def activation(w: Writer) -> None:
    w.do(
        "x = "
        + w.pick(
            "torch.relu(x)",
            "torch.tanh(x)",
            "torch.sigmoid(x)",
            "F.gelu(x)",
            "F.silu(x)",
            "F.leaky_relu(x, 0.1)",
            "F.softplus(x)",
            "F.hardswish(x)",
            "F.elu(x)",
            "x.abs()",
            "torch.cos(x)",
            "torch.exp(-x * x)",
            "x.clamp(-1, 2)",
            "x.clamp(min=0.5)",
            "F.mish(x)",
            "torch.atan2(x, torch.ones_like(x))",
            "(x + 1).pow(2) / 4",
            "F.hardtanh(x)",
            "F.softsign(x)",
            "F.logsigmoid(x)",
        )
    )


@operation()
def learned_slope(w: Writer) -> None:
    if w.kind != "sequence":
        w.do(f"x = {w.hold(f'nn.PReLU({w.rng.choice((1, w.width))})')}(x)")


@operation()
def choice(w: Writer) -> None:
    w.do(
        "x = "
        + w.pick(
            "torch.where(x > 0, x, 0.1 * x)",
            "x.masked_fill(x < 0, 0.0)",
            "torch.where((x > 0) & ~(x > 1), x, x.clamp(0, 1))",
            "x * (x > 0)",
            "torch.maximum(x, 0.1 * x)",
            "torch.minimum(x, torch.ones_like(x))",
            "torch.where(x.abs() > 0.5, x.abs(), torch.full_like(x, 0.5))",
            "x.clone().masked_fill_((x < 0) | (x < -1), 0.0)",
            f"x.masked_fill(torch.arange({w.space[-1] if w.space else w.width}) == 1, 0.0)"
            if w.kind != "sequence"
            else "x.masked_fill((torch.arange(x.shape[1]) == 1)[:, None], 0.0)",
        )
    )


@operation()
def per_unit(w: Writer) -> None:
    shape = w.broadcast()
    source = w.parameter(f"torch.rand{shape}") if w.rng.random() < 0.5 else w.buffer(f"torch.rand{shape}")
    w.do(f"x = x {w.pick('+', '*', '-')} {source}")


@operation()
def single_numbers(w: Writer) -> None:
    source = w.pick(w.parameter("torch.rand(())"), w.parameter("torch.rand(1)"))
    w.do(f"x = {w.pick('x * ' + source, 'x + ' + source, source + ' - x', '1 - x', 'x / 2 + 0.5')}")


@operation()
def size_in_arithmetic(w: Writer) -> None:
    axis = w.axis
    w.do(
        "x = "
        + w.pick(
            f"x * x.shape[{axis}] ** -0.5",
            f"x / x.size({axis})",
            "x * (len(x[0].reshape(-1)) ** -0.5)",
            "x * (4 / x[0].numel())",
            f"x + float(x.shape[{axis}]) / 100",
            f"x * torch.tensor(float(x.shape[{axis}])).to(x).rsqrt()",
            f"x * torch.ones(x.shape[{axis}]).sum().to(x).rsqrt()",
            "x - x.sum() / x.numel()",
        )
    )


@operation("vector", "sequence")
def equalised(w: Writer) -> None:
    out = w.some_width()
    name = w.hold(f"nn.Linear({w.width}, {out})")
    w.do(f"x = {name}(x) * {name}.{w.pick('in_features', 'out_features')} ** -0.5")
    w.width = out


@operation()
def in_place(w: Writer) -> None:
    axis = w.axis
    w.do("x = x * 1.5")
    turned = {"vector": "x.t()", "sequence": "x.transpose(1, 2)", "map": "x.transpose(1, 3)"}[w.kind]
    w.do(
        w.pick(
            "x.relu_()",
            "x.add_(0.5)",
            "x.mul_(torch.sigmoid(x.detach().clone()))",
            f"{turned}.mul_(0.5)",
            f"{turned}.sigmoid_()",
            f"x.narrow({axis}, 0, 2).mul_(0.5)",
            f"x.select({axis}, 1).add_(1.0)",
            f"x.select({axis}, 0).zero_()",
            f"x.select({axis}, 1).tanh_()",
            f"x.narrow({axis}, 1, 2).cos_()",
            "x.view(-1).mul_(0.5)",
            "x[0].add_(0.1)",
            "F.relu_(x)",
            "x[x < 0] = 0.0",
            "x += x.mean()",
        )
    )


@operation()
def in_place_behind_a_view(w: Writer) -> None:
    w.do("x = x * 1.25")
    w.do(f"v = {w.pick('x.flatten(1)', 'x.view(len(x), -1)', 'x.unsqueeze(1)', 'x[:]', 'x.detach()')}")
    w.do(w.pick("x.sigmoid_()", "v.add_(0.25)", "v.cos_()", "x.mul_(0.5)"))
    if w.rng.random() < 0.5:
        w.do("x = v.view_as(x)")


@operation()
def written_into(w: Writer) -> None:
    name, axis = w.layer(), w.axis
    w.do(f"y = torch.{w.pick('zeros_like', 'ones_like')}(x)")
    w.do(w.pick(f"y.copy_({name}(x))", f"y[:] = {name}(x)", f"y.add_({name}(x))"))
    w.do(f"x = x + {w.pick('y', f'y.flip({axis})', 'torch.tanh(y)')}")


@operation()
def training_only(w: Writer) -> None:
    way = w.rng.randrange(4)
    if way == 0:
        w.do(f"x = x * 0.9 if self.training else x {w.pick('', '* 0.8', '+ 0.1')}")
    elif way == 1:
        w.do(f"x = {w.layer()}(x) if self.training else {w.layer()}(x)")
    elif way == 2:
        w.do("if self.training:")
        w.do(f"    x = x + torch.tanh({w.layer()}(x))")
    else:
        w.do("if not self.training:")
        w.do(f"    x = x.flip({w.axis})")


@operation()
def dropout_of_nothing(w: Writer) -> None:
    w.do(f"x = {w.hold(w.pick('nn.Dropout(0.0)', 'nn.Identity()', 'nn.AlphaDropout(0.0)'))}(x)")


@operation()
def hooked(w: Writer) -> None:
    name = w.hold("nn.Identity()")
    w.made.append(
        f"{name}.register_forward_hook(lambda module, given, made: {w.pick('made * 2', 'made + 1')})"
    )
    w.do(f"x = {name}(x)")


@operation()
def by_the_batch(w: Writer) -> None:
    w.do(f"x = {w.pick('x - x.mean(0, keepdim=True)', 'x + x.roll(1, 0)', 'x * x.flip(0)', 'x + x[0]')}")


@operation()
def detached(w: Writer) -> None:
    name = w.layer()
    ways = f"x + {name}(x.detach())", f"x + {name}(x).detach()", f"x * torch.tanh({name}(x).data)"
    w.do(f"x = {w.pick(*ways)}")

"""Weights from one network into another, by name, whatever either of them is wrapped in."""

import re

# what torch.compile, fully sharded training and checkpointed layers put into names
WRAPPERS = re.compile(r"\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")


def own_names(state):
    """Return a state_dict by the network's own names; ``nn.DataParallel`` adds ``module.``."""
    state = {WRAPPERS.sub("", name): value for name, value in state.items()}
    while state and all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    return state


def mismatches(source, target):
    """Return, as sentences, in which own names, their order or shapes two state_dicts differ."""
    left, right = own_names(source), own_names(target)
    found = [f"{name} is missing" for name in left if name not in right]
    found += [f"{name} is too many" for name in right if name not in left]
    found += [f"{name} is {tuple(right[name].shape)} instead of {tuple(left[name].shape)}"
              for name in left if name in right and left[name].shape != right[name].shape]
    if not found and list(left) != list(right):
        found.append("the names are equal, but their order is not")
    return found


def load(model, state):
    """Put a state_dict into a model and return it; ``ValueError`` where a name or shape differs."""
    target, state = model.state_dict(), own_names(state)
    places = dict(zip(own_names(target), target, strict=True))
    state = {name: state[name] for name in places if name in state} | state
    found = mismatches(state, target)
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise ValueError(f"the weights do not fit: {found[0]}{more}; both networks need the same "
                         "depth, channels, classes and norms")
    model.load_state_dict({places[name]: value for name, value in state.items()})
    return model

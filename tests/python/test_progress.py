# SPDX-License-Identifier: Apache-2.0
"""Who waits is told how far it is; in process, over the unix socket and over HTTPS."""
import asyncio
import uuid

import pytest

import lxdcore

from conftest import Ticks


@pytest.fixture
def large(connection):
    """An instance that takes a while to copy and to pack."""
    instance = connection.instances.create("py-" + uuid.uuid4().hex[:8], image="bb", start=True)
    instance.exec(["dd", "if=/dev/urandom", "of=/root/big", "bs=1M", "count=60"], check=True)
    instance.stop(force=True)
    yield instance
    instance.delete().result()


def test_progress_is_told_while_something_is_waited_for(connection, large):
    told = []

    def tell(what, amount):
        told.append((what, amount))

    def said():
        entries, told[:] = list(told), []
        assert entries and all(what and amount for what, amount in entries), entries
        assert len(set(entries)) == len(entries)
        return entries

    backup = large.backups.create(compression="gzip", progress=tell)
    assert said()
    backup.delete().result()
    image = large.publish(compression="gzip").result(progress=tell)
    assert said()
    image.delete().result()
    # What is copied quickly is there without a word.
    copy = connection.instances.create(large.name + "-c", copy_of=large.name, progress=tell)
    assert copy.name == large.name + "-c" and all(what and amount for what, amount in told)
    copy.delete().result()


def test_progress_is_told_in_asyncio_too(large):
    async def main():
        told = []
        async with Ticks() as ticks:
            begun = await asyncio.to_thread(large.backups.begin_create, compression="gzip")
            backup = await begun.result_async(progress=lambda what, amount: told.append((what, amount)))
        await backup.delete()
        return backup, told, ticks.count

    backup, told, ticks = asyncio.run(main())
    assert isinstance(backup, lxdcore.Backup) and told and ticks > 5
    assert all(what and amount for what, amount in told)


def test_progress_of_a_failure_ends_with_the_failure(container):
    with pytest.raises(lxdcore.Error, match="already running"):
        container.begin("start").result(progress=print)
    with pytest.raises(lxdcore.Error, match="already running"):
        asyncio.run(container.begin("start").result_async(progress=print))

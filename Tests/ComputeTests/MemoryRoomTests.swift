import Foundation
import TestSupport
import Testing

@testable import Compute

/// How much memory there is, by whatever bounds it.
struct MemoryRoomTests {
  /// Files of control groups, by their paths below a folder.
  private func tree(_ files: [String: String]) throws -> TemporaryDirectory {
    let place = try TemporaryDirectory()
    for (path, text) in files {
      let url = URL(filePath: place.file(path))
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try text.write(to: url, atomically: false, encoding: .utf8)
    }
    return place
  }

  @Test func theTightestGroupAboveCountsInVersion2() throws {
    let place = try tree([
      "memory.stat": "anon 1\n",
      "job/memory.max": "300000000\n", "job/memory.current": "120000000\n",
      "job/memory.stat": "anon 90\ninactive_file 20000000\nactive_file 5000000\n",
      "job/step/memory.max": "max\n", "job/step/memory.current": "7\n",
    ])
    let room = ControlGroups.room(root: place.path, membership: "0::/job/step\n")
    #expect(room == 300_000_000 - 120_000_000 + 25_000_000)
    #expect(ControlGroups.room(root: place.path, membership: "0::/\n") == nil)
  }

  @Test func whereMemoryIsThrottledCountsToo() throws {
    let place = try tree([
      "memory.max": "900\n", "memory.high": "500\n", "memory.current": "100\n",
    ])
    #expect(ControlGroups.room(root: place.path, membership: "0::/\n") == 400)
  }

  @Test func version1HasATreeOfItsOwnForMemory() throws {
    let place = try tree([
      "memory/a/memory.limit_in_bytes": "1000\n", "memory/a/memory.usage_in_bytes": "400\n",
      "memory/a/memory.stat": "inactive_file 9\ntotal_inactive_file 30\ntotal_active_file 3\n",
      "memory/memory.limit_in_bytes": "9223372036854771712\n",
      "memory/memory.usage_in_bytes": "1\n",
    ])
    let membership = "5:cpu,cpuacct:/x\n4:memory:/a/b\n0::/\n"
    #expect(ControlGroups.room(root: place.path, membership: membership) == 633)
  }

  /// Within a container the path is often the machine's, and the root is the container's group.
  @Test func aPathOfTheMachineOutsideLeadsToTheContainersGroup() throws {
    let place = try tree(["memory.max": "1000\n", "memory.current": "1\n"])
    let membership = "0::/system.slice/docker-0123.scope\n"
    #expect(ControlGroups.room(root: place.path, membership: membership) == 999)
    #expect(ControlGroups.room(root: place.path, membership: "nonsense\n\n1:2\n") == nil)
  }

  @Test func thisProcessHasRoomByThisMachine() {
    let room = MemoryRoom.now()
    #expect(room.byteCount > 0)
    #expect(room.byteCount < Int(clamping: 4 * ProcessInfo.processInfo.physicalMemory))
    #expect(MemoryRoom(byteCount: -5, bound: .machine).byteCount == 0)
    let sentence = MemoryRoom(byteCount: 312_000_000, bound: .addressSpace).description
    #expect(sentence == "ulimit -v leaves 312 MB")
  }
}

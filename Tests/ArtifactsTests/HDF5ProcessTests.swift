import Foundation
import Testing

@testable import Artifacts

/// The process that reads HDF5 files apart: how it ends, and what it cannot reach.
@Suite struct HDF5ProcessTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// A program in the reader's place, which says that it is one and goes on as `script` says.
  private func helper(_ script: String) throws -> String {
    let path = folder.file("helper")
    try Data("#!/bin/sh\nprintf 'semg-hdf5-1\\n' >&0\n\(script)\n".utf8).write(
      to: URL(filePath: path))
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    return path
  }

  @Test func aReaderThatClosesItsEndAndSleepsIsStopped() throws {
    let script = try helper("exec 0<&-\nexec sleep 60")
    var limits = ArchiveLimits()
    limits.seconds = 2
    let start = ContinuousClock.now
    let error = archiveError { () throws(ArchiveError) in
      try KerasArchive.read(Fixture.path("3.5.0", "semg"), limits: limits, helper: .path(script))
    }
    #expect(error?.description.contains("did not end, and was stopped") == true, "\(error as Any)")
    #expect(error?.kind == .badContent)
    #expect(ContinuousClock.now - start < .seconds(20))
  }

  /// Process 0 of a signal is every process of the sender's group, this one and its parents.
  @Test func nobodyIsSignalledForAProcessThatIsGone() throws {
    let process = try HDF5Process(helper: helper("exit 3"), memory: 1 << 30, seconds: 1)
    func failure() -> String {
      do throws(HDF5Process.Failure) {
        _ = try process.open(Data(count: 1 << 20))
        return "none"
      } catch { return "\(error)" }
    }
    let first = failure()
    #expect(first.contains("ended early with status 3"), "\(first)")
    usleep(1_200_000)
    let second = failure()
    #expect(second.contains("took too long"), "\(second)")
  }

  @Test(.enabled(if: HDF5Child.confinementFault == nil, "this kernel confines no process"))
  func theReadingProcessReachesNothing() throws {
    try Data("text".utf8).write(to: URL(filePath: folder.file("file")))
    let process = Process()
    process.executableURL = URL(filePath: HDF5Helper.automatic.executable)
    process.arguments = ["escape", folder.file("file"), folder.path]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let said = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(String(decoding: said, as: UTF8.self) == "end\n")
    #expect(process.terminationReason == .exit && process.terminationStatus == 0)
    #expect(FileManager.default.contents(atPath: folder.file("file")) == Data("text".utf8))
    #expect(!FileManager.default.fileExists(atPath: folder.file("new")))
  }
}

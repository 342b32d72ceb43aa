import CHDF5
import Foundation
import Networks
import Testing

@testable import Artifacts

/// Archives made to harm: each is refused with a sentence, and nothing is followed or unpacked.
@Suite struct HostileArchiveTests {
  private func expectRefused(
    _ archive: Data, saying words: String, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let error = archiveError { () throws(ArchiveError) in
      try KerasArchive.read(archive, path: "test.keras")
    }
    let text = error?.description ?? "no error"
    #expect(error?.kind == .badContent, "\(text)", sourceLocation: sourceLocation)
    #expect(text.contains(words), "\(text)", sourceLocation: sourceLocation)
    #expect(text.contains("test.keras"), sourceLocation: sourceLocation)
  }

  private func entries() throws -> [RawZip.Entry] {
    let parts = try Parts()
    return [
      .init(name: "metadata.json", data: parts.metadata),
      .init(name: "config.json", data: try parts.config.encoded()),
      .init(name: "model.weights.h5", data: parts.weights),
    ]
  }

  // MARK: Zip

  @Test func theTestsOwnZipFilesAreReadWhenTheyAreHarmless() throws {
    let archive = try KerasArchive.read(RawZip(entries: entries()).data(), path: "test.keras")
    #expect(archive.weights == Fixture.weights(archive.network))
  }

  @Test(arguments: [
    "../../etc/cron.d/x", "/etc/passwd", "..\\..\\x", "assets/../../x", "C:/x", "a\\b",
  ])
  func entriesThatEscapeAreRefused(name: String) throws {
    let extra = RawZip.Entry(name: name, data: Data([1]))
    expectRefused(RawZip(entries: try entries() + [extra]).data(), saying: "own root")
  }

  @Test func entriesOfTheSameNameAreRefused() throws {
    let all = try entries()
    expectRefused(RawZip(entries: all + [all[1]]).data(), saying: "two entries called config.json")
  }

  @Test func encryptedEntriesAreRefused() throws {
    var all = try entries()
    all[2].flags = 1
    expectRefused(RawZip(entries: all).data(), saying: "encrypted")
  }

  @Test func unknownCompressionIsRefused() throws {
    var all = try entries()
    all[2].method = 99
    let error = archiveError { () throws(ArchiveError) in
      try KerasArchive.read(RawZip(entries: all).data(), path: "test.keras")
    }
    #expect(error?.kind == .badContent)
  }

  @Test func aSizeThatNoCompressionReachesIsRefused() throws {
    var all = try entries()
    all[2].method = 8
    all[2].declaredSize = 2_000_000_000
    expectRefused(RawZip(entries: all).data(), saying: "2000000000 bytes unpacked")
  }

  @Test func aWeightsFileFarTooLargeForItsNetworkIsNotUnpacked() throws {
    var parts = try Parts()
    parts.weights.append(Data(count: 200_000_000))
    expectRefused(try parts.archive(), saying: "the unpacked size of model.weights.h5")
  }

  @Test func anEntryThatUnpacksToMoreThanItDeclaresIsRefused() throws {
    let packed = try Data(contentsOf: URL(filePath: Fixture.path("3.15.1", "inception")))
    // The declared size stands in the local header and in the directory; both are lowered.
    let parts = try Parts()
    var bytes = [UInt8](packed)
    let size = withUnsafeBytes(of: UInt32(parts.weights.count).littleEndian) { [UInt8]($0) }
    var changed = 0
    for index in 0..<(bytes.count - 4) where Array(bytes[index..<index + 4]) == size {
      bytes[index] -= 1
      changed += 1
    }
    #expect(changed == 2)
    expectRefused(Data(bytes), saying: "model.weights.h5")
  }

  @Test func aWrongChecksumIsRefused() throws {
    var all = try entries()
    all[2].crc = 1
    expectRefused(RawZip(entries: all).data(), saying: "CRC")
  }

  @Test(arguments: ["metadata.json", "config.json", "model.weights.h5"])
  func missingEntries(name: String) throws {
    let rest = try entries().filter { $0.name != name }
    if name == "metadata.json" {
      let archive = try KerasArchive.read(RawZip(entries: rest).data(), path: "test.keras")
      #expect(archive.info.kerasVersion == nil)
    } else {
      expectRefused(RawZip(entries: rest).data(), saying: "no entry \(name)")
    }
  }

  @Test(arguments: [
    ("", "an empty file"), ("model,epoch\n", "a file of another kind"),
    ("\u{89}HDF\r\n\u{1a}\n", "an HDF5 file"),
  ])
  func filesOfOtherKindsAreCalledWhatTheyAre(content: String, words: String) {
    // Latin-1: an HDF5 file begins with the byte 0x89.
    expectRefused(Data(content.unicodeScalars.map { UInt8($0.value) }), saying: words)
  }

  @Test(arguments: [4, 21, 22, 100, 5_000]) func truncatedArchivesAreRefused(count: Int) throws {
    let whole = try Data(contentsOf: URL(filePath: Fixture.path("3.15.1", "inception")))
    expectRefused(whole.prefix(count), saying: "zip")
  }

  @Test func aFileThatIsMissingOrAFolderIsUnreadable() {
    for path in ["/nowhere/x.keras", "/tmp"] {
      let error = archiveError { () throws(ArchiveError) in try KerasArchive.read(path) }
      #expect(error?.kind == .unreadable)
    }
  }

  // MARK: HDF5

  private static let victim = "layers/dense/vars/0"

  private func expectRefused(
    saying words: String, sourceLocation: SourceLocation = #_sourceLocation,
    _ change: (hid_t) throws -> Void
  ) throws {
    var parts = try Parts()
    try parts.editWeights(change)
    expectRefused(try parts.archive(), saying: words, sourceLocation: sourceLocation)
  }

  @Test func externalLinksAreRefused() throws {
    try expectRefused(saying: "external link") { file in
      H5Ldelete(file, Self.victim, 0)
      #expect(H5Lcreate_external("/etc/passwd", "/x", file, Self.victim, 0, 0) >= 0)
    }
  }

  @Test func softLinksAreRefused() throws {
    try expectRefused(saying: "soft link") { file in
      H5Ldelete(file, Self.victim, 0)
      #expect(H5Lcreate_soft("/layers/dense_1/vars/0", file, Self.victim, 0, 0) >= 0)
    }
  }

  @Test func linksOutsideTheVariablesAreRefusedToo() throws {
    try expectRefused(saying: "soft link") { file in
      #expect(H5Lcreate_soft("/layers", file, "again", 0, 0) >= 0)
    }
  }

  @Test func groupsThatContainThemselvesAreRefused() throws {
    try expectRefused(saying: "nested deeper") { file in
      #expect(H5Lcreate_hard(file, "/layers", file, "/layers/self", 0, 0) >= 0)
    }
  }

  private func replaceVictim(
    _ file: hid_t, shape: [hsize_t] = [4, 2], type: hid_t = semg_H5T_IEEE_F32LE(),
    _ configure: (hid_t, hid_t) -> Void = { _, _ in }
  ) {
    H5Ldelete(file, Self.victim, 0)
    let creation = H5Pcreate(semg_H5P_DATASET_CREATE())
    let space = H5Screate_simple(Int32(shape.count), shape, nil)
    configure(creation, space)
    let set = H5Dcreate2(file, Self.victim, type, space, 0, creation, 0)
    #expect(set >= 0)
    H5Dclose(set)
    H5Sclose(space)
    H5Pclose(creation)
  }

  @Test func virtualDatasetsAreRefused() throws {
    try expectRefused(saying: "virtual dataset") { file in
      replaceVictim(file) { creation, space in
        #expect(H5Pset_virtual(creation, space, "/etc/passwd", "/x", space) >= 0)
      }
    }
  }

  @Test func externalStorageIsRefused() throws {
    try expectRefused(saying: "external file") { file in
      replaceVictim(file) { creation, _ in
        #expect(H5Pset_external(creation, "/etc/passwd", 0, 32) >= 0)
      }
    }
  }

  @Test func datasetsWithoutValuesAreRefused() throws {
    try expectRefused(saying: "holds no values") { file in replaceVictim(file) }
  }

  @Test func shapesThatDoNotFitAreRefused() throws {
    try expectRefused(saying: "found shape [2, 4], expected shape [4, 2]") { file in
      replaceVictim(file, shape: [2, 4]) { creation, _ in
        H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY)
      }
    }
  }

  @Test func giantDatasetsOfZerosAreRefusedUnread() throws {
    try expectRefused(saying: "expected shape [4, 2]") { file in
      replaceVictim(file, shape: [1 << 40]) { creation, _ in
        var chunk: hsize_t = 1 << 16
        H5Pset_chunk(creation, 1, &chunk)
        H5Pset_deflate(creation, 9)
      }
      let set = H5Dopen2(file, Self.victim, 0)
      let space = H5Dget_space(set)
      var start: hsize_t = 0
      var count: hsize_t = 1 << 16
      H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, nil, &count, nil)
      let memory = H5Screate_simple(1, &count, nil)
      let zeros = [Float](repeating: 0, count: 1 << 16)
      #expect(H5Dwrite(set, semg_H5T_NATIVE_FLOAT(), memory, space, 0, zeros) >= 0)
      H5Sclose(memory)
      H5Sclose(space)
      H5Dclose(set)
    }
  }

  @Test func textInPlaceOfNumbersIsRefused() throws {
    try expectRefused(saying: "no numbers") { file in
      let text = H5Tcopy(semg_H5T_C_S1())
      H5Tset_size(text, 16)
      replaceVictim(file, type: text) { creation, _ in
        H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY)
      }
      H5Tclose(text)
    }
  }

  @Test func missingVariablesAreNamed() throws {
    try expectRefused(saying: "layers/dense/vars/0 (dense/kernel): found nothing") { file in
      H5Ldelete(file, Self.victim, 0)
    }
  }

  @Test func weightsThatAreNoNumbersAreRefused() throws {
    try expectRefused(saying: "dense/kernel: found NaN or infinity") { file in
      let set = H5Dopen2(file, Self.victim, 0)
      let values = [Float](repeating: .nan, count: 8)
      H5Dwrite(set, semg_H5T_NATIVE_FLOAT(), 0, 0, 0, values)
      H5Dclose(set)
    }
  }

  /// Stored as 64-bit floats, values come back rounded to 32.
  @Test func otherPrecisionsAreConverted() throws {
    var parts = try Parts()
    try parts.editWeights { file in
      replaceVictim(file, type: semg_H5T_IEEE_F64LE())
      let set = H5Dopen2(file, Self.victim, 0)
      let values = (0..<8).map { Float($0) / 3 }
      H5Dwrite(set, semg_H5T_NATIVE_FLOAT(), 0, 0, 0, values)
      H5Dclose(set)
    }
    let archive = try parts.read()
    let index = try #require(archive.network.weights.firstIndex { $0.name == "dense/kernel" })
    #expect(archive.weights.values[index] == (0..<8).map { Float($0) / 3 })
  }

  @Test func anOptimizerThatDoesNotFitIsLeftOutWithANote() throws {
    var parts = try Parts()
    try parts.editWeights { file in H5Ldelete(file, "optimizer/vars/9", 0) }
    let archive = try parts.read()
    #expect(archive.optimizer == nil)
    #expect(archive.info.notes.count == 1)
  }

  // MARK: The reading process

  @Test(arguments: ["/nowhere/semg-train", "/bin/true", "/bin/cat", "/usr/bin/yes"])
  func aHelperThatIsNoneIsTold(helper: String) {
    let error = archiveError { () throws(ArchiveError) in
      var limits = ArchiveLimits()
      limits.seconds = 2
      return try KerasArchive.read(
        Fixture.path("3.5.0", "semg"), limits: limits, helper: .path(helper))
    }
    guard case .readerUnavailable(helper, _) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(error?.kind == .defect)
  }

  @Test func aReaderThatHangsIsStopped() throws {
    let folder = try TemporaryFolder()
    let script = folder.file("hang")
    try Data("#!/bin/sh\nprintf 'semg-hdf5-1\\n' >&0\nexec sleep 60\n".utf8).write(
      to: URL(filePath: script))
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
    var limits = ArchiveLimits()
    limits.seconds = 1
    let start = ContinuousClock.now
    let error = archiveError { () throws(ArchiveError) in
      try KerasArchive.read(
        Fixture.path("3.5.0", "semg"), limits: limits, helper: .path(script))
    }
    #expect(error?.description.contains("took too long") == true)
    #expect(error?.kind == .badContent)
    #expect(ContinuousClock.now - start < .seconds(20))
  }

  @Test func aReaderThatCrashesIsTheFilesFault() throws {
    let folder = try TemporaryFolder()
    let script = folder.file("crash")
    try Data("#!/bin/sh\nprintf 'semg-hdf5-1\\n' >&0\nkill -SEGV $$\n".utf8).write(
      to: URL(filePath: script))
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
    let error = archiveError { () throws(ArchiveError) in
      try KerasArchive.read(Fixture.path("3.5.0", "semg"), helper: .path(script))
    }
    #expect(error?.description.contains("crashed (Segmentation fault)") == true)
    #expect(error?.kind == .badContent)
  }

  @Test func aReaderWithoutMemoryIsToldSo() throws {
    var limits = ArchiveLimits()
    limits.baseMemory = 1 << 20
    let error = archiveError { () throws(ArchiveError) in
      try KerasArchive.read(Fixture.path("3.5.0", "semg"), limits: limits)
    }
    #expect(error != nil)
  }
}

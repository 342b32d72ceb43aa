import Foundation
import TestSupport
import Testing

/// What is said of the loader's list of drivers, and that no driver there ends the program.
@Suite(.enabled(if: PoCL.isPresent || PoCL.isDemanded, "no PoCL"))
struct DriverListTests {
  private static let bounded = "exec timeout --kill-after=5 120"

  /// PoCL's library, as its own file names it.
  private static var library: String {
    (try? String(contentsOfFile: PoCL.driver, encoding: .utf8))?.split(separator: "\n").first
      .map(String.init) ?? "libpocl.so.2"
  }

  /// A folder that names a library as it stands.
  private func folder(_ text: String, in place: TemporaryDirectory) throws -> [String: String] {
    let folder = place.file("vendors")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try text.write(toFile: "\(folder)/pocl.icd", atomically: false, encoding: .utf8)
    return PoCL.environment.merging(["OCL_ICD_VENDORS": folder]) { $1 }
  }

  @Test(arguments: [(" ", "a stray space"), ("\r\n", "a carriage return (CRLF)")])
  func aNameWithSomethingBehindItIsSaid(end: String, words: String) throws {
    let semgTrain = try SemgTrain()
    let environment = try folder(Self.library + end, in: semgTrain.directory)
    let verbose = try semgTrain(
      "devices", "--verbose", environment: environment, shell: Self.bounded)
    #expect(verbose.status == 0, "\(verbose.error)")
    let listed = try semgTrain("devices", "--json", environment: environment, shell: Self.bounded)
    // Another loader may take more away than ours.
    guard listed.output.contains("\"cpu\",\"driver\"") || !listed.output.contains("gpu:0") else {
      return
    }
    #expect(verbose.output.contains("the file has \(words)"), "\(verbose.output)")
    #expect(verbose.output.contains("write \(Self.library) and a line feed"))
    let refused = try semgTrain(
      "benchmark", "--device", "gpu", environment: environment, shell: Self.bounded)
    #expect(refused.status == 69, "\(refused.error)")
    #expect(refused.error.contains("the file has \(words)"), "\(refused.error)")
  }

  @Test(.enabled(if: SharedData.hasCases, "no cases at \(SharedData.cases.path)"))
  func theListOfTheCaseEndsNoProgram() throws {
    let semgTrain = try SemgTrain()
    let place = SharedData.cases.appending(path: "driver-lists/trailing-space").path
    let outcome = try semgTrain(
      "devices", "--verbose",
      environment: PoCL.environment.merging(["OCL_ICD_VENDORS": place]) { $1 }, shell: Self.bounded)
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.contains("the file has a stray space"), "\(outcome.output)")
  }

  @Test func aDriverThatShowsNoDeviceIsNamedWithWhatToCheck() throws {
    let semgTrain = try SemgTrain()
    // A library that loads and is not a driver.
    let environment = try folder("libc.so.6\n", in: semgTrain.directory)
    for arguments in [["devices", "--verbose"], ["benchmark", "--device", "gpu"]] {
      let outcome = try semgTrain.run(arguments, environment: environment, shell: Self.bounded)
      let said = outcome.output + outcome.error
      #expect(outcome.status == (arguments[0] == "devices" ? 0 : 69), "\(said)")
      #expect(said.contains("loaded and shows no device: libc.so.6; "), "\(said)")
      #expect(said.contains("/dev/dri"))
    }
  }
}

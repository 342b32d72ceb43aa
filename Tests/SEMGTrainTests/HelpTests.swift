import Foundation
import TestSupport
import Testing

/// The help of every command as it is in Fixtures/help. SEMG_UPDATE_SNAPSHOTS=1 writes it anew.
struct HelpTests {
  static let commands = [
    "", "train", "evaluate", "predict", "inspect", "split", "synthesize", "devices", "parity",
    "benchmark", "tune",
  ]

  @Test(arguments: commands)
  func theHelpIsWhatWasAgreedOn(_ command: String) throws {
    let semgTrain = try SemgTrain()
    let outcome = try semgTrain.run(
      (command.isEmpty ? [] : [command]) + ["--help"], environment: ["COLUMNS": "80"])
    let file = SharedData.packageRoot.appending(
      path: "Tests/SEMGTrainTests/Fixtures/help/\(command.isEmpty ? "semg-train" : command).txt")
    if ProcessInfo.processInfo.environment["SEMG_UPDATE_SNAPSHOTS"] != nil {
      try outcome.output.write(to: file, atomically: true, encoding: .utf8)
    }
    #expect(outcome.output == (try String(contentsOf: file, encoding: .utf8)))
  }
}

import ArgumentParser
import CLastResort
import Foundation
import Recordings

/// The root: everything is done by its subcommands.
struct SEMGTrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "semg-train",
    abstract: "Trains networks that recognize hand gestures from surface EMG recordings.",
    usage: "semg-train [<command>] [<options>]",
    discussion: """
      Without a command it trains; semg-train train --help lists the options.

        semg-train --data recordings
        semg-train evaluate artifacts_final --data recordings
        semg-train predict --artifacts artifacts_final new.csv

      -V is short for --version.

      Exit codes: 0 success, 64 wrong usage, 65 bad data, 66 unreadable path, \
      69 device, memory or threads unavailable, 70 our defect, 73 output cannot be created, 74 a \
      read or write failed midway, 78 settings that contradict each other or \
      the data, 130 interrupted.
      """,
    version: Version.text,
    subcommands: [
      TrainCommand.self, EvaluateCommand.self, PredictCommand.self, InspectCommand.self,
      SplitCommand.self, SynthesizeCommand.self, DevicesCommand.self, ParityCommand.self,
      BenchmarkCommand.self, TuneCommand.self,
    ],
    defaultSubcommand: TrainCommand.self)
}

/// Runs the command line; returns how the process should end. Every error ends here.
func runCommand(_ arguments: [String]) -> Int32 {
  last_resort_install(ExitStatus.unavailable.rawValue)
  do {
    try ThreadRoom.check()
    Interrupt.install()
    if arguments.first == "help", let sentence = try? UsageDiagnosis().sentence(forHelp: arguments)
    {
      throw CommandFailure(.usage, "\(sentence)\nSee semg-train --help")
    }
    // The parser would take -epochs for -e -p -o -c -h -s, and help for wanted.
    let isMistyped = arguments.contains { $0.wholeMatch(of: /-[A-Za-z]{2,}(=.*)?/) != nil }
    if isMistyped, let diagnosis = try? UsageDiagnosis(),
      let sentence = diagnosis.sentence(for: arguments)
    {
      throw CommandFailure(.usage, "\(sentence)\nSee \(diagnosis.helpCommand(for: arguments))")
    }
    let names = arguments.filter { $0.hasPrefix("--") }.map { $0.prefix { $0 != "=" } }
    if Set(names).count < names.count, let diagnosis = try? UsageDiagnosis(),
      let sentence = diagnosis.sentence(forRepeated: arguments)
    {
      Console().warning(sentence)
    }
    var command = try SEMGTrainCommand.parseAsRoot(arguments.map { $0 == "-V" ? "--version" : $0 })
    try command.run()
    return ExitStatus.success.rawValue
  } catch let failure as any ExitStatusProviding {
    Console().error(sentence(for: failure))
    return failure.exitStatus.rawValue
  } catch {
    return report(error, arguments: arguments)
  }
}

/// The error's own sentence, as the program would end with it.
func sentence(for error: any Error) -> String {
  (error as? any ExitStatusProviding).map { sentence(for: $0) } ?? "\(error)"
}

/// How the program would end with an error.
func exitStatus(of error: any Error) -> ExitStatus {
  (error as? any ExitStatusProviding)?.exitStatus ?? .defect
}

/// The error's own sentence, and for a path that leads nowhere the nearest that leads somewhere.
func sentence(for failure: any ExitStatusProviding) -> String {
  if let problems = (failure as? RecordingProblems)?.problems,
    problems.allSatisfy({ !$0.isOfTheSet || $0.isMismatch })
  {
    var remedies: [String] = []
    if problems.allSatisfy({ !$0.isOfTheSet }) {
      remedies.append("--skip-bad goes on without the recordings at fault")
    }
    if problems.contains(where: \.isMismatch) {
      remedies.append("--allow-mismatch goes on with those that are not what they should be")
    }
    return "\(failure)\n\(Figure.count(problems.count, "problem")); "
      + remedies.joined(separator: ", ")
  }
  if let split = failure as? SplitFileProblems, case .missingFile(let file)? = split.problems.first
  {
    return "\(failure)" + InputPath.hint(forMissing: file)
  }
  guard case .missing(let path)? = failure as? RecordingError else { return "\(failure)" }
  guard path != DataOptions.defaultDirectory || InputPath.brokenLink(in: path) != nil else {
    return "\(failure); say where the recordings are with --data DIR"
  }
  return "\(failure)" + InputPath.hint(forMissing: path)
}

/// What the parser threw: help and version as asked for, or wrong usage; anything else that no one
/// has given a number is our defect.
private func report(_ error: any Error, arguments: [String]) -> Int32 {
  let code = SEMGTrainCommand.exitCode(for: error)
  switch code {
  case .success:
    do { try Console().result(SEMGTrainCommand.message(for: error)) } catch {
      Console().error("\(error)")
      return ExitStatus.inputOutput.rawValue
    }
    return ExitStatus.success.rawValue
  case .validationFailure:
    let diagnosis = try? UsageDiagnosis()
    let sentence = diagnosis?.sentence(for: arguments) ?? SEMGTrainCommand.message(for: error)
    let help = diagnosis?.helpCommand(for: arguments) ?? "semg-train --help"
    Console().error("\(sentence)\nSee \(help)")
    return ExitStatus.usage.rawValue
  default:
    Console().error("\(error)\nThis is a defect of semg-train; please report it with this line.")
    return ExitStatus.defect.rawValue
  }
}

import Artifacts
import Compute
import Networks
import Recordings
import SignalPreparation
import SignalProcessing
import Training

/// How the program ends, by the numbers of `sysexits.h`.
enum ExitStatus: Int32 {
  case success = 0
  /// Wrong usage: an option, a value, a command.
  case usage = 64
  /// The content or the layout of the data is wrong.
  case badData = 65
  /// A path is missing or unreadable, or no recording lies below it.
  case unreadable = 66
  /// A device is unavailable or was lost, or memory, threads or open files do not suffice.
  case unavailable = 69
  /// A defect of ours.
  case defect = 70
  /// Output cannot be created.
  case cannotCreate = 73
  /// A read or write failed midway.
  case inputOutput = 74
  /// Settings contradict each other or the data.
  case contradiction = 78
  /// Ctrl-C, or SIGTERM.
  case interrupted = 130
}

/// What the command itself finds wrong: a sentence for people and how to end.
struct CommandFailure: Error, CustomStringConvertible {
  let status: ExitStatus
  let description: String

  init(_ status: ExitStatus, _ description: String) {
    self.status = status
    self.description = description
  }
}

/// An error that knows how the program ends. Errors of the targets below are given theirs here,
/// so that no other place turns errors into numbers.
protocol ExitStatusProviding: Error {
  var exitStatus: ExitStatus { get }
}

extension CommandFailure: ExitStatusProviding {
  var exitStatus: ExitStatus { status }
}

extension DeviceError: ExitStatusProviding {
  var exitStatus: ExitStatus {
    switch self {
    case .misused: .defect
    case .unavailable, .outOfMemory, .callFailed, .unsupported, .computesWrongly: .unavailable
    }
  }
}

extension SignalProcessingError: ExitStatusProviding {
  var exitStatus: ExitStatus { isBadData ? .badData : .contradiction }
}

extension FaultKind {
  var exitStatus: ExitStatus {
    switch self {
    case .badContent: .badData
    case .unreadable: .unreadable
    case .contradiction: .contradiction
    case .cannotCreate: .cannotCreate
    case .readFailed, .writeFailed: .inputOutput
    }
  }
}

extension RecordingError: ExitStatusProviding {
  var exitStatus: ExitStatus { kind.exitStatus }
}

extension RecordingProblems: ExitStatusProviding {
  var exitStatus: ExitStatus { kind.exitStatus }
}

extension SplitError: ExitStatusProviding {
  var exitStatus: ExitStatus { kind.exitStatus }
}

extension SplitFileProblems: ExitStatusProviding {
  var exitStatus: ExitStatus { kind.exitStatus }
}

extension PreparationError: ExitStatusProviding {
  var exitStatus: ExitStatus {
    switch self {
    case .nothingToFitStatistics, .tooManySamples: .badData
    case .outOfMemory: .unavailable
    case .channelsDiffer: .contradiction
    }
  }
}

extension NetworkError: ExitStatusProviding {
  /// A network of ours that cannot be made: the rate gives windows too short for it.
  var exitStatus: ExitStatus { .contradiction }
}

extension TrainingError: ExitStatusProviding {
  var exitStatus: ExitStatus {
    switch self {
    case .diverged, .overflowed, .validationOverflowed, .noWindows: .badData
    case .classWeightCount, .nonFiniteClassWeight, .invalidEnsembleWeights, .otherTraining:
      .contradiction
    }
  }
}

extension PredictionError: ExitStatusProviding {
  var exitStatus: ExitStatus { .badData }
}

extension FileWriteError: ExitStatusProviding {
  var exitStatus: ExitStatus {
    switch self {
    case .cannotCreate: .cannotCreate
    case .failedMidway: .inputOutput
    }
  }
}

extension ArchiveError: ExitStatusProviding {
  var exitStatus: ExitStatus { kind.exitStatus }
}

extension ArchiveError.Kind {
  var exitStatus: ExitStatus {
    switch self {
    case .unreadable: .unreadable
    case .badContent: .badData
    case .defect: .defect
    case .cannotCreate: .cannotCreate
    case .readFailed, .writeFailed: .inputOutput
    }
  }
}

extension FileReadError: ExitStatusProviding {
  var exitStatus: ExitStatus {
    switch self {
    case .unreadable: .unreadable
    case .failedMidway: .inputOutput
    }
  }
}

extension RunDirectoryError: ExitStatusProviding {
  var exitStatus: ExitStatus { kind.exitStatus }
}

extension SynthesisError: ExitStatusProviding {
  var exitStatus: ExitStatus { kind.exitStatus }
}

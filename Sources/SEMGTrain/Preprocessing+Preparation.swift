import Artifacts
import Foundation
import Recordings
import SignalProcessing
import Training

extension Preprocessing {
  /// What was done to the recordings of a training.
  init(_ data: DataSettings, preparation: Preparation, prepared: PreparedRecordings, recipe: Recipe)
  {
    let band = preparation.filter.bandHertz
    self.init(
      sampleRate: data.sampleRate, channels: data.channels.columns,
      filter: Filter(
        lowHertz: band.lowerBound, highHertz: band.upperBound,
        notchHertz: data.filters.notchHertz, notchQuality: data.filters.notchQuality),
      windowLength: preparation.windows.length, windowStride: preparation.windows.stride,
      mean: prepared.standardization.mean, deviation: prepared.standardization.deviation,
      gestures: prepared.classes, recipe: recipe.rawValue)
  }

  /// How recordings are prepared as they were for training.
  ///
  /// - Throws: `CommandFailure` (78) where the options ask for something else, (65) where the file
  ///   was edited so that nothing can be prepared by it.
  func preparation(
    _ options: SignalOptions, threads: Int, skipsBadRecordings: Bool
  ) throws -> Preparation {
    try check(options)
    var filters = FilterSettings()
    filters.lowHertz = filter.lowHertz
    filters.highHertz = filter.highHertz
    filters.notchHertz = filter.notchHertz
    filters.notchQuality = filter.notchQuality ?? filters.notchQuality
    guard let selection, let geometry = try? WindowGeometry(sampleRate: sampleRate),
      geometry.length == windowLength, geometry.stride == windowStride
    else {
      throw CommandFailure(
        .badData,
        "\(RunDirectory.preprocessingName): found windows of \(windowLength) samples every "
          + "\(windowStride) and channels \(channels), expected what training writes for "
          + "\(Figure.plain(sampleRate)) Hz; train again, or restore the file")
    }
    return try Preparation(
      sampleRate: sampleRate, channels: selection, filters: filters, threads: threads,
      skipsBadRecordings: skipsBadRecordings)
  }

  var standardization: Standardization { Standardization(mean: mean, deviation: deviation) }

  private var selection: ChannelSelection? {
    ChannelSelection(channels.map(String.init).joined(separator: ","))
  }

  private func check(_ options: SignalOptions) throws {
    func refuse(_ option: String, _ asked: String, _ trained: String) -> CommandFailure {
      CommandFailure(
        .contradiction,
        "\(option) \(asked) is given, but the models were trained with \(trained); drop \(option)")
    }
    if let rate = options.sampleRate, rate != sampleRate {
      throw refuse("--sample-rate", Figure.plain(rate), Figure.plain(sampleRate))
    }
    if let given = options.channels, given.columns != channels {
      let trained = selection?.description ?? "\(channels)"
      throw refuse("--channels", given.description, trained)
    }
    if options.notch != nil, options.filters.notchHertz != filter.notchHertz {
      throw refuse(
        "--notch", options.filters.notchHertz.map(Figure.plain) ?? "off",
        filter.notchHertz.map(Figure.plain) ?? "off")
    }
  }
}
